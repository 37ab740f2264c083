"""Shipments and orders in MongoDB, and the two effects that an event has on a shipment.

Invariant: a shipment's ``events_applied`` counts the events that were applied to it, each once.
The status effect is conditional on the counter being as it was read and on the id not being in
``recent_events``; an id leaves that list only when its ledger document says that it was applied,
so that a repeat finds it in one of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson.int64 import Int64
from pymongo.collection import Collection
from pymongo.database import Database

from conf.sources.statuses import Status
from workers.errors import Permanent
from workers.mongo import store_errors

Document = dict[str, Any]

RECENT_MAX = 32  # ids kept on a shipment before those the ledger vouches for are let go
RECENT_KEPT = 8

_HISTORY = ("events_applied", "last_event_at", "recent_events")


@dataclass(frozen=True, slots=True)
class Shipment:
    """A shipment as it was read. last_event_at: courier time of the event that set the status."""

    id: str
    order_id: str | None
    merchant_id: str | None
    status: str | None
    active: bool
    last_event_at: datetime | None
    events_applied: int
    recent_events: tuple[str, ...]
    route: Document | None

    @classmethod
    def of(cls, d: Document) -> Shipment:
        """Raises ``Permanent`` for one whose history another system wrote in another shape: no
        condition on it would ever hold."""
        counted, last, recent = (d.get(name) for name in _HISTORY)
        if counted is not None and (type(counted) not in (int, float, Int64) or counted % 1 != 0):
            raise _odd(d, "events_applied")
        if not isinstance(last, datetime | None):
            raise _odd(d, "last_event_at")
        if not isinstance(recent, list | None):
            raise _odd(d, "recent_events")
        route = d.get("route")
        return cls(
            id=d["_id"],
            order_id=d.get("order_id"),
            merchant_id=d.get("merchant_id"),
            status=d.get("status"),
            active=bool(d.get("active")),
            last_event_at=last,
            events_applied=int(counted or 0),
            recent_events=tuple(recent or ()),
            route=route if isinstance(route, dict) else None,
        )


def _odd(d: Document, name: str) -> Permanent:
    return Permanent(f"shipment {d['_id']}: {name} is not what the gateway wrote: {d[name]!r:.40}")


class Shipments:
    """Reads and the two effects. Every method raises ``StoreUnavailable`` when MongoDB is."""

    def __init__(self, database: Database[Document]) -> None:
        self._shipments: Collection[Document] = database["shipments"]
        self._orders: Collection[Document] = database["orders"]

    @store_errors
    def find(self, shipment_id: str) -> Shipment | None:
        document = self._shipments.find_one({"_id": shipment_id})
        return None if document is None else Shipment.of(document)

    @store_errors
    def order_is_open(self, order_id: str | None) -> bool:
        """Is there such an order, and is it open?"""
        order = self._orders.find_one({"_id": order_id}, {"status": 1}) if order_id else None
        return order is not None and order.get("status") == "open"

    @store_errors
    def apply(
        self,
        event_id: str,
        as_read: Shipment,
        change: Document,
        applied: Callable[[Iterable[str]], set[str]],
    ) -> bool:
        """The status effect: count the event and set ``change`` (empty for a late one).

        applied: tells which of some ids the ledger has as applied. Returns False, having changed
        nothing, when the shipment is not as it was read any more.
        """
        recent = as_read.recent_events
        if len(recent) >= RECENT_MAX:
            old = recent[: len(recent) - RECENT_KEPT]
            gone = applied(old)
            recent = tuple(id for id in recent if id not in gone)
        # A shipment that another system made may have no counter yet.
        counted: Any = as_read.events_applied or {"$in": [0, None]}
        result = self._shipments.update_one(
            {"_id": as_read.id, "events_applied": counted, "recent_events": {"$ne": event_id}},
            # Not $inc, which a null refuses; the condition makes it the same.
            {
                "$set": {
                    **change,
                    "events_applied": as_read.events_applied + 1,
                    "recent_events": [*recent, event_id],
                }
            },
        )
        return result.modified_count == 1

    @store_errors
    def set_route(self, shipment_id: str, route: Document) -> bool:
        """The route effect: ``route`` (with ``event_id``, ``status`` and ``occurred_at``) is the
        shipment's, unless a later event's route is. Idempotent by nature.

        Of the same time, the rank of the status decides which event is the later, as it does for
        the status. So whoever writes late, after a retry or a pause, takes nobody's route away.
        """
        at, rank = route["occurred_at"], Status(route["status"]).rank
        above = [status.value for status in Status if status.rank > rank]
        result = self._shipments.update_one(
            {
                "_id": shipment_id,
                "route.occurred_at": {"$not": {"$gt": at}},
                "$nor": [{"route.occurred_at": at, "route.status": {"$in": above}}],
            },
            {"$set": {"route": route}},
        )
        return result.matched_count == 1
