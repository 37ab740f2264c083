"""The queue: one method a verb, each of them one Lua script and one round trip.

Holder verbs (forward, done, retry, defer, bury) raise ``NotHolder`` when the lock is another's by
now; every method raises ``RedisUnavailable`` when Redis did not confirm. All are safe to repeat.
A ``Queue`` belongs to one thread, as its ``RedisConnection`` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

from scheduler.accept_command import AcceptCommand, Caps
from scheduler.connection import RedisConnection
from scheduler.errors import NotHolder, RedisUnavailable
from scheduler.events import Acceptance, AcceptCode, IncomingEvent, Promotion, Reserved
from scheduler.keys import Keys, LaneName
from scheduler.resp_transport import Arg
from scheduler.scripts import load

_CODES: dict[bytes, AcceptCode] = {code.encode(): code for code in get_args(AcceptCode)}

ERROR_CHARACTERS = 160  # of last_error: enough to explain, short enough to read in redis-cli


class Queue:
    """The verbs, over one connection."""

    def __init__(self, connection: RedisConnection, keys: Keys | None = None) -> None:
        self.connection = connection
        self.keys = keys or Keys()
        self._accept_commands: dict[tuple[str, Caps, float, float], AcceptCommand] = {}

    def _run(self, verb: str, keys: list[str], *args: Arg) -> Any:
        return self.connection.run(load(verb), keys, list(args))

    def _hold(self, verb: str, keys: list[str], *args: Arg) -> Any:
        reply = self._run(verb, keys, *args)
        if reply[0] == b"not_holder":
            raise NotHolder(verb)
        return reply

    # ---- the edge

    def accept(
        self,
        event: IncomingEvent,
        caps: Caps,
    ) -> Acceptance:
        """Make an event durable, once."""
        variant = (event.source, caps, event.quota_per_second, event.quota_burst)
        command = self._accept_commands.get(variant)
        if command is None:
            command = self._accept_commands[variant] = AcceptCommand(self.keys, *variant)
        reply = self.connection.run_packed(command.script, command.packed(event))
        try:
            code, backlog, retry_after_ms = reply
            return Acceptance(_CODES[code], backlog, retry_after_ms / 1000)
        except (KeyError, TypeError, ValueError):
            # Not a reply to this command, so the next reply might not be one either.
            self.connection.close()
            raise RedisUnavailable("unknown reply") from None

    # ---- holders

    def reserve(
        self,
        lane: LaneName,
        n: int,
        *,
        owner: str,
        boot: str,
        lease_seconds: float,
        quarantined: int = 1,
        held: int = 0,
        max_crashes: int = 5,
    ) -> list[Reserved]:
        """Lock up to n ready events. lease: seconds. suspects: how many of them may be suspects.

        held: events that the caller has in its hands; one that a crash more would make dead is
        given to a caller without any, and nothing beside it.
        """
        k = self.keys
        rows = self._run(
            "reserve",
            [k.turn(lane), k.locks(lane), k.wake(lane), k.stats, k.dead, k.exclusive(lane)],
            k.prefix,
            lane,
            n,
            owner,
            boot,
            _ms(lease_seconds),
            quarantined,
            held,
            max_crashes,
        )
        return [
            Reserved(
                id=id.decode(),
                gen=gen.decode(),
                lane=lane,
                source=source.decode(),
                attempts=int(attempts),
                waits=int(waits),
                crashes=int(crashes),
                received_at_ms=int(received_at_ms),
                live_since_ms=int(live_since_ms),
                route=route,
                body=body,
            )
            for (
                id,
                gen,
                source,
                attempts,
                waits,
                crashes,
                received_at_ms,
                live_since_ms,
                route,
                body,
            ) in rows
        ]

    def extend(
        self, lane: LaneName, held: Iterable[tuple[str, str]], lease_seconds: float
    ) -> list[str]:
        """Give the locks of (id, gen) pairs a new deadline; returns the ids held no more."""
        pairs = [part for pair in held for part in pair]
        lost = self._run(
            "extend", [self.keys.locks(lane)], self.keys.prefix, _ms(lease_seconds), *pairs
        )
        return [id.decode() for id in lost]

    def forward(self, event: Reserved) -> None:
        """From the lookup lane to the routing lane."""
        k = self.keys
        keys = [k.locks("lookup"), k.event(event.id), k.stats]
        self._hold("forward", keys, k.prefix, event.id, event.gen)

    def done(self, event: Reserved, outcome: str) -> None:
        """The ledger is closed. ``outcome`` is counted."""
        k = self.keys
        keys = [k.locks(event.lane), k.event(event.id), k.body(event.id), k.done, k.stats]
        self._hold("done", keys, event.id, event.gen, outcome)

    def retry(self, event: Reserved, delay_seconds: float, error: str) -> None:
        """The attempt failed; the next one is in ``delay`` seconds."""
        k = self.keys
        keys = [k.locks(event.lane), k.event(event.id), k.retry, k.wake_scheduler, k.stats]
        self._hold("retry", keys, event.id, event.gen, _ms(delay_seconds), error[:ERROR_CHARACTERS])

    def defer(
        self,
        event: Reserved,
        delay_seconds: float,
        reason: str,
        *,
        fence: int | None = None,
        route: bytes = b"",
    ) -> None:
        """Give the event back unburnt, for ``delay`` seconds (0: ready at once).

        fence: the next reservation's must be above it. route: what the next holder is to record
        instead of calling the Routing Service again.
        """
        k = self.keys
        keys = [k.locks(event.lane), k.event(event.id), k.retry, k.wake_scheduler, k.stats]
        floor = "" if fence is None else str(fence)
        self._hold(
            "defer", keys, event.id, event.gen, _ms(delay_seconds), reason, floor, route, k.prefix
        )

    def bury(self, event: Reserved, reason: str, error: str = "", *, attempts: int = 0) -> None:
        """The event is hopeless. attempts: 1 if this one failed, so that it is counted."""
        k = self.keys
        keys = [k.locks(event.lane), k.event(event.id), k.dead, k.stats]
        error = error[:ERROR_CHARACTERS]
        self._hold("bury", keys, event.id, event.gen, reason, error, attempts, k.prefix)

    def reclaim(
        self, lane: LaneName, owner: str, boot: str, max_crashes: int, held: Iterable[str] = ()
    ) -> int:
        """Make ready what is locked under this owner's name and in nobody's hands; returns how
        many events. held: ids that this process has in its hands."""
        k = self.keys
        keys = [k.locks(lane), k.dead, k.stats]
        return int(self._run("reclaim", keys, k.prefix, owner, boot, max_crashes, *held))

    # ---- scheduler and operators

    def promote(
        self,
        *,
        lease_seconds: float,
        max_crashes: int,
        dedup_window_seconds: float,
        tombstones_max: int,
        remember_at_least_seconds: float = 0,
        batch: int = 500,
    ) -> Promotion:
        """Due retries and expired locks become ready; old tombstones go, but none that is younger
        than remember_at_least_seconds. Times in seconds."""
        k = self.keys
        due, promoted, expired, trimmed = self._run(
            "promote",
            [
                k.wake_scheduler,
                k.retry,
                k.locks("lookup"),
                k.locks("routing"),
                k.done,
                k.dead,
                k.stats,
            ],
            k.prefix,
            batch,
            _ms(lease_seconds),
            max_crashes,
            _ms(dedup_window_seconds),
            tombstones_max,
            _ms(remember_at_least_seconds),
        )
        return Promotion(None if due < 0 else due / 1000, promoted, expired, trimmed)

    def replay(self, id: str) -> str:
        """Bring a dead letter back. Returns "replayed", "no_body" or the state it is in ("" if
        the id is unknown)."""
        k = self.keys
        keys = [k.dead, k.event(id), k.body(id), k.stats]
        return _verdict(self._run("replay", keys, k.prefix, id))

    def drop(self, id: str) -> str:
        """Give a dead letter up. Returns "dropped" or the state it is in ("" if unknown, "dropped
        already" if it was)."""
        k = self.keys
        return _verdict(self._run("drop", [k.dead, k.event(id), k.body(id), k.done, k.stats], id))

    # ---- waiting

    def wait(self, what: LaneName | Literal["scheduler"], seconds: float) -> bool:
        """Sleep until woken or for ``seconds`` (above 0); True if woken."""
        key = self.keys.wake_scheduler if what == "scheduler" else self.keys.wake(what)
        # To Redis 0 means for ever, and 6.2 takes a single millisecond for 0.
        reply = self.connection.command(
            "BLPOP", key, f"{max(seconds, 0.01):.3f}", timeout_seconds=seconds + 2
        )
        return reply is not None

    def alive(self, owner: str, fields: dict[str, Arg], ttl_seconds: float) -> None:
        """Say that this process lives."""
        flat = [part for pair in fields.items() for part in pair]
        self._run("alive", [self.keys.process(owner)], _ms(ttl_seconds), *flat)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _verdict(reply: Sequence[bytes]) -> str:
    if reply[0] != b"not_dead":
        return reply[0].decode()
    # Never the word of success: an event may have been dropped before.
    return {b"": "", b"dropped": "dropped already"}.get(reply[1], reply[1].decode())
