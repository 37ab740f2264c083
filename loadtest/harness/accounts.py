"""The accounts that the checker compares, as plain values. Nothing here knows the product.

All times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.harness.history import Answer, Event

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A call that reached the Routing Service. outcome: routed | failed | broken | abandoned (the
    caller closed the connection). pid: the process that made it, 0 if it did not say."""

    key: str
    arrived: float
    ended: float
    outcome: str
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that was inflicted. until: when it was over: the store answered again, the frozen
    process went on. pids: the processes hit."""

    kind: str
    at: float
    until: float
    target: str = ""
    pids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Traceback:
    """A traceback in a log of the product. entry: the line above it. error: its last line."""

    log: str
    entry: str
    error: str


@dataclass(frozen=True)
class Queue:
    """Redis. hashes: id -> fields. places: id -> the lists and sets that hold it. bodies: id ->
    bytes. stats: the counters."""

    hashes: Mapping[str, Mapping[str, str]]
    places: Mapping[str, Sequence[str]]
    bodies: Mapping[str, bytes]
    stats: Mapping[str, str]


@dataclass(frozen=True)
class Accounts:
    """events: all that were ever sent. queue: None where its tombstones have expired. ledger,
    shipments: MongoDB's documents by _id. routed: key -> successful calls, as the Routing Service
    counts them. calls: all of them in any order; None where only the counts are known. stalls: when
    the machine did not run what was due. tracebacks: those in the product's logs."""

    events: Mapping[str, Event]
    answers: Sequence[Answer]
    queue: Queue | None
    ledger: Mapping[str, Document]
    shipments: Mapping[str, Document]
    routed: Mapping[str, int]
    calls: Sequence[Call] | None = None
    faults: Sequence[Fault] = ()
    stalls: Sequence[Fault] = ()
    tracebacks: Sequence[Traceback] = ()

    @property
    def acknowledged(self) -> set[str]:
        """The events of which a client got a 2xx."""
        return {answer.key for answer in self.answers if answer.acknowledged}
