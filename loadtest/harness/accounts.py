"""The accounts that are compared, as plain values. Nothing here knows the product.

All times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """What a courier has to tell. readable: false for one whose status is no word of its source's,
    which must end among the dead letters. status: the canonical one."""

    source: str
    id: str
    shipment: str
    status: str
    occurred_at: datetime
    body: bytes
    readable: bool = True

    @property
    def key(self) -> str:
        """Its identity in the gateway."""
        return f"{self.source}:{self.id}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client was told. status: None if nothing came, and then ``word`` says why; else
    ``word`` is what the body said. seen: where Redis had the event just before it was sent once
    more; empty if nobody looked."""

    key: str
    client: str
    sent: float
    answered: float
    status: int | None
    word: str
    seen: str = ""

    @property
    def told(self) -> bool:
        """Was the client promised that the event is kept?"""
        return self.status in (200, 202)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that reached the Routing Service. pid: the process that made it, 0 if it was gone
    before anybody looked. outcome: routed | failed | broken | abandoned (the caller left)."""

    key: str
    arrived: float
    ended: float
    outcome: str
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done to the stack. until: when it was over: the store answered again, the
    frozen went on. pids: the processes hit."""

    kind: str
    at: float
    until: float
    target: str = ""
    pids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """A traceback in a log of the product's. entry: the line above it. error: its last line."""

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
    """events: all that were ever sent. ledger, shipments: Mongo's documents by _id. calls: in any
    order. routed: key -> successful calls, by the Routing Service's own books. stalls: when the
    machine itself did not run what was due. traces: what no part of the product had foreseen."""

    events: Mapping[str, Event]
    answers: Sequence[Answer]
    queue: Queue
    ledger: Mapping[str, Document]
    shipments: Mapping[str, Document]
    calls: Sequence[Call]
    routed: Mapping[str, int]
    faults: Sequence[Fault]
    stalls: Sequence[Fault] = ()
    traces: Sequence[Trace] = ()
