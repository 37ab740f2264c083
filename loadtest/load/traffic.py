"""What the load consists of: which user posts which event when. Pure, but for the time given.

Each user is a courier with shipments of its own, and repeats the same sequence of statuses for each
of them as long as it runs. No sequence holds a terminal status, which would absorb all that follow.
"""

from __future__ import annotations

from datetime import UTC, datetime

from conf.sources.model import Source
from conf.sources.statuses import Status
from gateway.courier.payload import payload
from loadtest.harness.history import Event

USERS = 100
PACE_SECONDS = 0.75  # from one task of a user to its next
SHIPMENTS_PER_USER = 10  # 100 users share the 1,000 seeded shipments
DUPLICATES = 0.1  # of the tasks
SAME_MOMENT = 0.5  # of the duplicates: sent together with the first; the others come later
SOURCES = ("bench", "standard", "easypost")

_CANONICAL = (
    Status.PICKED_UP,
    Status.IN_TRANSIT,
    Status.DELAYED,
    Status.OUT_FOR_DELIVERY,
    Status.DELIVERY_FAILED,
    Status.ADDRESS_CHANGED,
)
# EasyPost has no words for the others.
_EASYPOST = (
    Status.IN_TRANSIT,
    Status.EXCEPTION,
    Status.OUT_FOR_DELIVERY,
    Status.DELIVERY_FAILED,
    Status.IN_TRANSIT,
    Status.EXCEPTION,
)
SEQUENCES = {"bench": _CANONICAL, "standard": _CANONICAL, "easypost": _EASYPOST}


def event(run: str, user: int, number: int) -> Event:
    """The ``number``-th event of a user (both from 0). run: keeps the ids of two runs apart."""
    source = SOURCES[user % len(SOURCES)]
    shipment = user * SHIPMENTS_PER_USER + number % SHIPMENTS_PER_USER + 1
    # The shipments of a user start at different statuses, so that these are mixed at any time.
    step = number // SHIPMENTS_PER_USER + number % SHIPMENTS_PER_USER
    statuses = SEQUENCES[source]
    status = statuses[step % len(statuses)]
    return Event(source, f"{run}-u{user}-{number}", f"SHP-{shipment}", status)


def body(event: Event, source: Source, now: float) -> bytes:
    """The event as it happened ``now`` (seconds since 1970); a repeat has the same body."""
    happened = datetime.fromtimestamp(now, UTC)
    return payload(source, event.id, event.shipment, Status(event.status), happened)
