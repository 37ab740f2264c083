"""The queue: one method for each verb, each of them one Lua script and one round trip.

The methods of holders (forward, done, retry, defer, bury) raise ``NotHolder`` if the caller does
not hold the lock any more. Every method raises ``RedisUnavailable`` if Redis did not confirm, and
may be repeated then. A ``Queue`` belongs to one thread, like its ``RedisConnection``.
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

# Length of last_error. Longer: explains more. Shorter: less memory, and readable in redis-cli.
ERROR_CHARACTERS = 160


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

    def accept(self, event: IncomingEvent, caps: Caps) -> Acceptance:
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
        """Lock up to n ready events. quarantined: how many of them may be from the quarantine.

        held: how many events the caller holds. An event whose next crash would dead-letter it is
        only given to a caller that holds none, and then alone.
        """
        k = self.keys
        rows = self._run(
            "reserve",
            [k.stats, k.turn(lane), k.wake(lane), k.locks(lane), k.exclusive(lane), k.dead],
            k.prefix,
            lane,
            owner,
            boot,
            _ms(lease_seconds),
            max_crashes,
            n,
            quarantined,
            held,
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
        """Give the locks of (id, gen) pairs a new deadline. Returns the ids not held any more."""
        pairs = [part for pair in held for part in pair]
        lost = self._run(
            "extend", [self.keys.locks(lane)], self.keys.prefix, _ms(lease_seconds), *pairs
        )
        return [id.decode() for id in lost]

    def forward(self, event: Reserved) -> None:
        """Move the event from the lookup lane to the routing lane."""
        k = self.keys
        keys = [k.stats, k.event(event.id), k.locks("lookup")]
        self._hold("forward", keys, k.prefix, event.id, event.gen)

    def done(self, event: Reserved, outcome: str) -> None:
        """The event is finished: the ledger is closed. outcome: counted."""
        k = self.keys
        keys = [k.stats, k.event(event.id), k.body(event.id), k.locks(event.lane), k.done]
        self._hold("done", keys, event.id, event.gen, outcome)

    def retry(self, event: Reserved, delay_seconds: float, error: str) -> None:
        """The attempt failed; the next one is due in ``delay_seconds``."""
        k = self.keys
        keys = [k.stats, k.event(event.id), k.locks(event.lane), k.retry, k.wake_scheduler]
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
        """Give the event back without consuming an attempt. It is due in ``delay_seconds`` (0: at
        once).

        fence: the fencing token of the next reservation is above it. route: the next holder records
        it instead of calling the Routing Service again.
        """
        k = self.keys
        keys = [k.stats, k.event(event.id), k.locks(event.lane), k.retry, k.wake_scheduler]
        least = "" if fence is None else str(fence)
        delay_ms = _ms(delay_seconds)
        self._hold("defer", keys, k.prefix, event.id, event.gen, delay_ms, reason, least, route)

    def bury(self, event: Reserved, reason: str, error: str = "", *, attempts: int = 0) -> None:
        """Dead-letter the event. reason: counted. attempts: 1 if this attempt failed, else 0."""
        k = self.keys
        keys = [k.stats, k.event(event.id), k.locks(event.lane), k.dead]
        error = error[:ERROR_CHARACTERS]
        self._hold("bury", keys, k.prefix, event.id, event.gen, reason, error, attempts)

    def reclaim(
        self, lane: LaneName, owner: str, boot: str, max_crashes: int, held: Iterable[str] = ()
    ) -> int:
        """Make ready what is locked under this owner's name but not held by this process. Returns
        how many events. held: ids that this process holds."""
        k = self.keys
        keys = [k.stats, k.locks(lane), k.dead]
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
        """Make due retries and events with expired locks ready, and trim old tombstones.

        A tombstone younger than remember_at_least_seconds is never trimmed. batch: most events of
        each kind in one run.
        """
        k = self.keys
        next_due_ms, promoted, expired, trimmed = self._run(
            "promote",
            [k.stats, k.locks("lookup"), k.locks("routing"), k.retry, k.dead, k.done],
            k.prefix,
            _ms(lease_seconds),
            max_crashes,
            batch,
            _ms(dedup_window_seconds),
            tombstones_max,
            _ms(remember_at_least_seconds),
        )
        next_due_seconds = None if next_due_ms < 0 else next_due_ms / 1000
        return Promotion(next_due_seconds, promoted, expired, trimmed)

    def replay(self, id: str) -> str:
        """Bring back a dead letter. Returns "replayed", "no_body" or the event's state ("" for an
        unknown id)."""
        k = self.keys
        keys = [k.stats, k.event(id), k.body(id), k.dead]
        return _dead_letter_reply(self._run("replay", keys, k.prefix, id))

    def drop(self, id: str) -> str:
        """Give up a dead letter. Returns "dropped" or the event's state ("" for an unknown id,
        "dropped already" if it was dropped before)."""
        k = self.keys
        keys = [k.stats, k.event(id), k.body(id), k.dead, k.done]
        return _dead_letter_reply(self._run("drop", keys, id))

    # ---- waiting

    def wait(self, what: LaneName | Literal["scheduler"], seconds: float) -> bool:
        """Sleep until woken, at most ``seconds`` (above 0). Returns whether woken."""
        key = self.keys.wake_scheduler if what == "scheduler" else self.keys.wake(what)
        # Redis takes 0 for no timeout, and 6.2 takes 1 ms for 0.
        reply = self.connection.command(
            "BLPOP", key, f"{max(seconds, 0.01):.3f}", timeout_seconds=seconds + 2
        )
        return reply is not None

    def alive(self, owner: str, fields: dict[str, Arg], ttl_seconds: float) -> None:
        """Record that this process is running, for ``ttl_seconds``."""
        flat = [part for pair in fields.items() for part in pair]
        self._run("alive", [self.keys.process(owner)], _ms(ttl_seconds), *flat)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _dead_letter_reply(reply: Sequence[bytes]) -> str:
    if reply[0] != b"not_dead":
        return reply[0].decode()
    # "dropped" means success, so an event that was dropped before gets another reply.
    return {b"": "", b"dropped": "dropped already"}.get(reply[1], reply[1].decode())
