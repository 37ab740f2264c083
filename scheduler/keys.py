"""The data dictionary: every Redis key of the gateway, each with its type.

Invariant: key names are built here and in ``lua/`` (from the same prefix) and nowhere else. All
keys of a shard carry one hash tag, so that a script never crosses shards; there is one shard now.

    ready:<lane>:<source>   LIST    ids to be taken; pushed left, taken right
    turn:<lane>             LIST    the sources that have ready events, the next to be served first
    wake:<lane>             LIST    at most WAKE_MAX tokens; idle workers block on it
    wake:scheduler          LIST    the same for the scheduler, when an earlier due time appears
    locks:<lane>            ZSET    id -> lease deadline (ms); the only in-flight structure
    retry                   ZSET    id -> next attempt (ms)
    dead                    ZSET    id -> time of death (ms)
    done                    ZSET    id -> time it was done or dropped (ms): the tombstones
    event:<id>              HASH    see FIELDS; a tombstone keeps state and digest (and why it was
                                    dropped) only
    body:<id>               STRING  the signed bytes, exactly; deleted when done
    alone:<lane>            STRING  the owner that takes nothing more until it holds nothing, for an
                                    event that must be alone; with a TTL
    quota:<source>          HASH    tokens, at (ms): the token bucket of a source with a quota
    stats                   HASH    counters and gauges, changed in the scripts that change the rest
                                    (secret:<source>:<variable>: events that this secret signed,
                                    seen:<source>:<variable>: ms, when the latest of them came)
    breaker                 HASH    state of the routing breaker
    probes                  ZSET    permit -> deadline (ms): probes allowed while it is not closed
    gw:proc:<owner>         HASH    a live process, with a TTL: pid boot lane slots busy

The source ``!suspects`` (no configured source can have that name) stands for the events that were
part of two crashes or more: they wait in a list of their own, so that a process can take one of
them at a time while their neighbours are served as ever. One that would be dead at its next crash
is taken alone.
"""

from __future__ import annotations

from typing import Final, Literal

LaneName = Literal["lookup", "routing"]
LANES: Final[tuple[LaneName, ...]] = ("lookup", "routing")

QUARANTINE: Final = "!suspects"

FIELDS: Final = (
    "state",  # ready | locked | retry | dead | done | dropped
    "lane",  # lookup | routing
    "source",
    "received_at",  # ms, when accept stored it
    "live_since",  # ms, received_at or the latest replay
    "attempts",  # failed attempts in this lane
    "waits",  # deferrals in a row, which burn no attempt
    "crashes",  # times its holder vanished
    "gen",  # fencing token of the latest reservation: decimal µs
    "owner",
    "boot",  # who holds or held it
    "next_at",  # ms, while in retry
    "digest",  # of the first body seen
    "last_error",  # of the latest failed attempt
    "reason",  # why it was deferred or why it is dead
    "route",  # an answer of the Routing Service that Mongo has not recorded yet
    "replays",  # times an operator brought it back
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
