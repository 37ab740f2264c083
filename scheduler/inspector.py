"""Reads the queue without changing it: the counters, and which event is where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from scheduler.connection import RedisConnection
from scheduler.errors import RedisUnavailable
from scheduler.keys import LANES, Keys, LaneName
from scheduler.scripts import load

PAGE = 500  # ids per command. Larger: each blocks Redis for longer. Smaller: more round trips.


@dataclass(frozen=True)
class Counters:
    """Every structure's size and every counter, read at one instant.

    now_ms: by Redis's clock. waiting: lane -> source -> ready events. stats: counters and gauges.
    """

    now_ms: int
    waiting: dict[LaneName, dict[str, int]]
    locked: dict[LaneName, int]
    retrying: int
    dead: int
    tombstones: int
    stats: dict[str, str]

    def count(self, name: str) -> int:
        """A counter or gauge as a whole number; 0 if it was never written."""
        return int(float(self.stats.get(name, "0")))

    @property
    def waiting_total(self) -> int:
        return sum(sum(sources.values()) for sources in self.waiting.values())

    @property
    def locked_total(self) -> int:
        return sum(self.locked.values())

    @property
    def unfinished(self) -> int:
        """Events that are ready, locked or in retry."""
        return self.waiting_total + self.locked_total + self.retrying

    @property
    def unaccounted(self) -> int:
        """Accepted events that are in no structure (negative: events that were never accepted)."""
        return self.count("accepted") - (
            self.count("done") + self.unfinished + self.dead + self.count("dropped")
        )

    @property
    def reconciled(self) -> bool:
        """Every accepted event is in exactly one place, and the backlog gauge agrees."""
        return self.unaccounted == 0 and self.count("backlog") == self.unfinished


@dataclass(frozen=True)
class Listed:
    """An event in the retry or dead set. at_ms: when it is due, or when it was dead-lettered."""

    id: str
    at_ms: int
    fields: dict[str, str]


class Inspector:
    """Reads over one connection. Every method may raise ``RedisUnavailable``."""

    def __init__(self, connection: RedisConnection, keys: Keys | None = None) -> None:
        self._connection, self.keys = connection, keys or Keys()

    def counters(self) -> Counters:
        """Every count, read by one script."""
        k = self.keys
        now_ms, retrying, dead, tombstones, lookup, routing, *rows = self._connection.run(
            load("books"),
            [
                k.stats,
                k.turn("lookup"),
                k.turn("routing"),
                k.locks("lookup"),
                k.locks("routing"),
                k.retry,
                k.dead,
                k.done,
            ],
            [k.prefix],
        )
        waiting = {
            lane: {s.decode(): int(n) for s, n in _pairs(row)}
            for lane, row in zip(LANES, rows[:2], strict=True)
        }
        stats = {name.decode(): value.decode() for name, value in _pairs(rows[2])}
        return Counters(
            int(now_ms),
            waiting,
            {"lookup": lookup, "routing": routing},
            retrying,
            dead,
            tombstones,
            stats,
        )

    def event(self, id: str) -> dict[str, str]:
        """The event's hash; empty for an unknown id."""
        return _text(self._connection.command("HGETALL", self.keys.event(id)))

    def body(self, id: str) -> bytes | None:
        """The signed bytes; None if they are not kept any more."""
        body: bytes | None = self._connection.command("GET", self.keys.body(id))
        return body

    def listed(self, which: Literal["retry", "dead"], start: int, count: int) -> list[Listed]:
        """Events of a set in the order of their time, the earliest first."""
        key = self.keys.retry if which == "retry" else self.keys.dead
        rows = self._connection.command("ZRANGE", key, start, start + count - 1, "WITHSCORES")
        return [
            Listed(id.decode(), int(float(at)), self.event(id.decode())) for id, at in _pairs(rows)
        ]

    def states(self, ids: Iterable[str]) -> dict[str, str]:
        """id -> state, for the ids that Redis knows."""
        found = {}
        for id in ids:
            state = self._connection.command("HGET", self.keys.event(id), "state")
            if state is not None:
                found[id] = state.decode()
        return found

    def known_ids(self) -> Iterator[list[str]]:
        """Every id that Redis knows, in pages; an id that changes meanwhile may come twice."""
        prefix = self.keys.event("")
        pattern = prefix.replace("[", "\\[") + "*"
        cursor = b"0"
        while True:
            cursor, names = self._connection.command(
                "SCAN", cursor, "MATCH", pattern, "COUNT", PAGE
            )
            if names:
                yield [name.decode()[len(prefix) :] for name in names]
            if cursor == b"0":
                return

    def processes(self) -> list[dict[str, str]]:
        """The running worker processes: owner, pid, boot, lane, slots, busy."""
        found = []
        cursor = b"0"
        while True:
            cursor, names = self._connection.command(
                "SCAN", cursor, "MATCH", "gw:proc:*", "COUNT", PAGE
            )
            for name in names:
                fields = _text(self._connection.command("HGETALL", name))
                if fields:
                    found.append({"owner": name.decode()[len("gw:proc:") :], **fields})
            if cursor == b"0":
                return sorted(found, key=lambda process: process["owner"])

    def breaker(self) -> dict[str, str]:
        """The breaker's hash; ``state`` is absent while it is closed."""
        return _text(self._connection.command("HGETALL", self.keys.breaker))

    def memory(self) -> dict[str, str]:
        """``INFO memory``; empty if Redis does not allow the command."""
        try:
            info = self._connection.command("INFO", "memory").decode()
        except RedisUnavailable:
            return {}
        return dict(line.split(":", 1) for line in info.splitlines() if ":" in line)


def _pairs(row: list[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(row[::2], row[1::2], strict=True)


def _text(row: list[bytes]) -> dict[str, str]:
    return {name.decode(): value.decode(errors="replace") for name, value in _pairs(row)}
