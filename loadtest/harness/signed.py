"""Events as a courier signs them, made before a measurement so that it does not pay for them.

Invariant: every request of a file is equally long, so that a reader finds each by its number, and
every event id in it is its own, so that none is a duplicate.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from conf.settings import Settings
from conf.sources.loader import load_sources
from conf.sources.model import Source
from conf.sources.statuses import Status
from gateway.courier.payload import payload
from gateway.courier.signing import sign
from loadtest.harness.history import Event
from loadtest.harness.http_client import Request
from scheduler.events import IncomingEvent

SOURCE = "bench"
BODY_BYTES = 508
SHIPMENTS = 5000
NO_ROUTE = (Status.IN_TRANSIT,)
ROUTE = (Status.DELAYED,)
MIXED = (*NO_ROUTE * 4, *ROUTE)  # one in five needs a route


@cache
def _source() -> Source:
    """The demo source with its published secret."""
    return load_sources(Settings().sources_file, {}, "local")[SOURCE]


def signed(source: Source, event_id: str, body: bytes, now: float) -> Request:
    """The request as the courier sends it at ``now``; a repeat is the same body, signed again."""
    return Request(f"/v1/events/{source.name}", sign(source, event_id, body, now), body)


def events(
    prefix: str, count: int, statuses: Sequence[Status], first: int = 0
) -> Iterator[tuple[Event, bytes]]:
    """Events with their bodies of BODY_BYTES. The statuses repeat in order; a shipment's next event
    is later by its courier's clock too, so that none is late. first: with which shipment to begin.
    """
    source = _source()
    rng = random.Random(prefix)
    began = datetime.now(UTC)
    for number in range(first, first + count):
        status = statuses[number % len(statuses)]
        shipment = f"SHP-{number % SHIPMENTS + 1}"
        event = Event(SOURCE, f"evt_{prefix}_{number:08d}", shipment, status)
        happened = began + timedelta(milliseconds=number)
        body = payload(source, event.id, shipment, status, happened)
        # Random to the last byte: LuaJIT hashes a few bytes of a string only, and wrk would spend
        # its time on strings that look the same.
        room = BODY_BYTES - len(body) - len(b',"note":""')
        note = rng.randbytes(room).hex()[:room]
        yield event, body[:-1] + b',"note":"%b"}' % note.encode()


def request(event: Event, body: bytes) -> Request:
    """An event of ``events`` as a request. Its source's signature does not cover the time."""
    return signed(_source(), event.id, body, 0)


def incoming(event: Event, body: bytes) -> IncomingEvent:
    """An event of ``events`` as the edge gives it to the queue. Its digest is not a real one."""
    return IncomingEvent(event.key, event.source, body, "0" * 16, "BENCH_SECRET")


@dataclass(frozen=True)
class RequestFile:
    """A file of ``count`` HTTP requests, ``size_bytes`` each."""

    path: Path
    size_bytes: int
    count: int


def write(
    path: Path, prefix: str, count: int, statuses: Sequence[Status] = NO_ROUTE
) -> RequestFile:
    """Sign that many events and write them as whole HTTP/1.1 requests."""
    size = 0
    with path.open("wb") as file:
        for event, body in events(prefix, count, statuses):
            data = request(event, body).encoded("bench")
            if size not in (0, len(data)):
                raise AssertionError("requests of different lengths")
            size = len(data)
            file.write(data)
    return RequestFile(path, size, count)
