"""What the load consists of: who posts which event when. Pure, but for the time it is given.

Each user is a courier's sender with shipments of its own, and takes each of them round the same
tour for as long as it runs. No tour holds a terminal status, which would absorb all that follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from conf.sources.model import Source
from conf.sources.statuses import Status
from gateway.courier.payload import payload
from gateway.courier.signing import sign
from loadtest.harness.http_client import Post

USERS = 100
PACE_SECONDS = 0.75  # from one task of a user to its next
SHIPMENTS_PER_USER = 10  # 100 users share the 1,000 seeded shipments
DUPLICATES = 0.1  # of the tasks
TWINS = 0.5  # of the duplicates: sent in the same moment as the first; the others come later
SOURCES = ("bench", "standard", "easypost")

_CANONICAL_TOUR = (
    Status.PICKED_UP,
    Status.IN_TRANSIT,
    Status.DELAYED,
    Status.OUT_FOR_DELIVERY,
    Status.DELIVERY_FAILED,
    Status.ADDRESS_CHANGED,
)
# EasyPost has no words for the others.
_EASYPOST_TOUR = (
    Status.IN_TRANSIT,
    Status.EXCEPTION,
    Status.OUT_FOR_DELIVERY,
    Status.DELIVERY_FAILED,
    Status.IN_TRANSIT,
    Status.EXCEPTION,
)
TOURS = {"bench": _CANONICAL_TOUR, "standard": _CANONICAL_TOUR, "easypost": _EASYPOST_TOUR}


@dataclass(frozen=True)
class Event:
    """One thing that happened to a shipment, as its courier will tell."""

    source: str
    id: str
    shipment: str
    status: Status

    @property
    def key(self) -> str:
        """Its identity in the gateway."""
        return f"{self.source}:{self.id}"


def event(run: str, user: int, number: int) -> Event:
    """The ``number``-th event of a user (both from 0). run: keeps the ids of two runs apart."""
    source = SOURCES[user % len(SOURCES)]
    shipment = user * SHIPMENTS_PER_USER + number % SHIPMENTS_PER_USER + 1
    # Shipments of one user start at different places of the tour: statuses are mixed at any time.
    step = number // SHIPMENTS_PER_USER + number % SHIPMENTS_PER_USER
    tour = TOURS[source]
    return Event(source, f"{run}-u{user}-{number}", f"SHP-{shipment}", tour[step % len(tour)])


def body(event: Event, source: Source, now: float) -> bytes:
    """What the courier tells, now (seconds since 1970) and in every repeat."""
    return payload(source, event.id, event.shipment, event.status, datetime.fromtimestamp(now, UTC))


def signed(event: Event, source: Source, body: bytes, now: float) -> Post:
    """The request as the courier sends it; a repeat is the same body, signed again."""
    return Post(f"/v1/events/{source.name}", sign(source, event.id, body, now), body)
