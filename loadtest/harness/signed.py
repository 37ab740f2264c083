"""Events as a courier signs them, made before the measurement so that it does not pay for them.

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


def events(
    prefix: str, count: int, statuses: Sequence[Status], first: int = 0
) -> Iterator[tuple[str, bytes]]:
    """(event id, body of BODY_BYTES). The statuses come in turn; a shipment's next event is later
    by its courier's clock too, so that none is late. first: with which shipment to begin."""
    source = _source()
    chance = random.Random(prefix)
    began = datetime.now(UTC)
    for number in range(first, first + count):
        id = f"evt_{prefix}_{number:08d}"
        body = payload(
            source,
            id,
            f"SHP-{number % SHIPMENTS + 1}",
            statuses[number % len(statuses)],
            began + timedelta(milliseconds=number),
        )
        # Random to the last byte: LuaJIT hashes a few bytes of a string only, and wrk would spend
        # its time on strings that look the same.
        room = BODY_BYTES - len(body) - len(b',"note":""')
        note = chance.randbytes(room).hex()[:room]
        yield id, body[:-1] + b',"note":"%b"}' % note.encode()


def headers(id: str, body: bytes) -> dict[str, str]:
    """Those that make it the courier's own."""
    return {"Content-Type": "application/json", **sign(_source(), id, body, 0)}


@dataclass(frozen=True)
class Requests:
    """A file of ``count`` HTTP requests, ``size`` bytes each."""

    path: Path
    size: int
    count: int


def write(path: Path, prefix: str, count: int, statuses: Sequence[Status] = NO_ROUTE) -> Requests:
    """Sign that many events and write them as whole HTTP/1.1 requests."""
    source = _source()
    size = 0
    with path.open("wb") as file:
        for id, body in events(prefix, count, statuses):
            fields = {"Host": "bench", "Content-Length": str(len(body)), **headers(id, body)}
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            request = f"POST /v1/events/{source.name} HTTP/1.1\r\n{head}\r\n".encode() + body
            if size not in (0, len(request)):
                raise AssertionError("requests of different lengths")
            size = len(request)
            file.write(request)
    return Requests(path, size, count)
