"""The data dictionary: every Redis key of the gateway, each with its type.

Invariant: key names are built here and in ``lua/`` (from the same prefix) and nowhere else. All
keys of a shard carry one hash tag, so that a script never crosses shards; there is one shard now.

    ready:<lane>:<source>   LIST    ids to be taken; pushed left, taken right
    turn:<lane>             LIST    the sources that have ready events, for the round-robin: reserve
                                    serves the leftmost and moves it to the right
    wake:<lane>             LIST    at most WAKE_MAX tokens; idle workers block on it
    wake:scheduler          LIST    at most 1 token, for an event that is due before all others
    locks:<lane>            ZSET    id -> lease deadline (ms); the only in-flight structure
    retry                   ZSET    id -> next attempt (ms)
    dead                    ZSET    id -> when it was dead-lettered (ms)
    done                    ZSET    id -> when it was done or dropped (ms): the tombstones
    event:<id>              HASH    see FIELDS; a tombstone keeps state, digest and, if it was
                                    dropped, reason
    body:<id>               STRING  the signed bytes, exactly; deleted when done
    alone:<lane>            STRING  the owner that takes nothing more until it holds no event, to
                                    take an exclusive one; with a TTL
    quota:<source>          HASH    tokens, at (ms): the token bucket of a source with a quota
    stats                   HASH    counters and gauges, changed by the script that changes what
                                    they count (secret:<source>:<variable>: events signed with this
                                    secret, seen:<source>:<variable>: ms, when the latest came)
    breaker                 HASH    state of the routing breaker
    probes                  ZSET    permit -> deadline (ms): probes allowed while it is not closed
    gw:proc:<owner>         HASH    a running process, with a TTL: pid boot lane slots busy

The source ``!suspects`` is the quarantine. It holds the events whose holder crashed at least
QUARANTINE_CRASHES times, from all sources of the lane, so that a process takes one of them at a
time and other events do not crash with it. One whose next crash would dead-letter it is exclusive:
a process takes it when it holds nothing else.
"""

from __future__ import annotations

from typing import Final, Literal

LaneName = Literal["lookup", "routing"]
LANES: Final[tuple[LaneName, ...]] = ("lookup", "routing")

FIELDS: Final = (
    "state",  # ready | locked | retry | dead | done | dropped
    "lane",  # lookup | routing
    "source",
    "received_at",  # ms, when accept stored it
    "live_since",  # ms, received_at or the latest replay
    "attempts",  # failed attempts in this lane
    "waits",  # deferrals in a row, which consume no attempt
    "crashes",  # times that its holder crashed
    "gen",  # fencing token of the latest reservation: decimal µs
    "owner",  # name of the process that holds or held it
    "boot",  # identifies the run of that process
    "next_at",  # ms, while in retry
    "digest",  # of the first body seen
    "last_error",  # of the latest failed attempt
    "reason",  # why it was deferred or dead-lettered
    "route",  # a reply of the Routing Service that Mongo has not recorded yet
    "replays",  # times that an operator brought it back
)


class Keys:
    """The key names of one shard."""

    def __init__(self, shard: int = 0) -> None:
        self.prefix: Final = f"{{gw:{shard}}}:"
        p = self.prefix
        self.retry: Final = p + "retry"
        self.dead: Final = p + "dead"
        self.done: Final = p + "done"
        self.stats: Final = p + "stats"
        self.breaker: Final = p + "breaker"
        self.probes: Final = p + "probes"
        self.wake_scheduler: Final = p + "wake:scheduler"

    def ready(self, lane: LaneName, source: str) -> str:
        return f"{self.prefix}ready:{lane}:{source}"

    def turn(self, lane: LaneName) -> str:
        return f"{self.prefix}turn:{lane}"

    def wake(self, lane: LaneName) -> str:
        return f"{self.prefix}wake:{lane}"

    def locks(self, lane: LaneName) -> str:
        return f"{self.prefix}locks:{lane}"

    def exclusive(self, lane: LaneName) -> str:
        return f"{self.prefix}alone:{lane}"

    def event(self, id: str) -> str:
        return f"{self.prefix}event:{id}"

    def body(self, id: str) -> str:
        return f"{self.prefix}body:{id}"

    def quota(self, source: str) -> str:
        return f"{self.prefix}quota:{source}"

    @staticmethod
    def process(owner: str) -> str:
        return f"gw:proc:{owner}"
