"""Shipments and orders in MongoDB, and the two effects that an event has on a shipment.

Invariant: a shipment's ``events_applied`` counts each event that was applied to it once. The status
effect is conditional on the counter being as it was read and on the id not being in
``recent_events``. An id leaves that list only after the ledger has recorded it as applied, so that
a repeated event is found in one of the two.
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

# A shipment with this many recent ids is trimmed to the latest RECENT_KEPT and those that the
# ledger has not recorded. More make every shipment larger, fewer ask the ledger more often.
RECENT_MAX = 32
RECENT_KEPT = 8

_HISTORY = ("events_applied", "last_event_at", "recent_events")


@dataclass(frozen=True, slots=True)
class Shipment:
    """A shipment as it was read. last_event_at: courier time of the event that set its status."""

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
        """Raises ``Permanent`` if another system wrote the history in another shape, because no
        condition on it would ever hold."""
        counted, last, recent = (d.get(name) for name in _HISTORY)
        if counted is not None and (type(counted) not in (int, float, Int64) or counted % 1 != 0):
            raise _unexpected(d, "events_applied")
        if not isinstance(last, datetime | None):
            raise _unexpected(d, "last_event_at")
        if not isinstance(recent, list | None):
            raise _unexpected(d, "recent_events")
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


def _unexpected(d: Document, name: str) -> Permanent:
    return Permanent(f"shipment {d['_id']}: {name} is not what the gateway wrote: {d[name]!r:.40}")


class Shipments:
    """Reads and the two effects. Every method raises ``StoreUnavailable`` when MongoDB is
    unavailable."""

    def __init__(self, database: Database[Document]) -> None:
        self._shipments: Collection[Document] = database["shipments"]
        self._orders: Collection[Document] = database["orders"]

    @store_errors
    def find(self, shipment_id: str) -> Shipment | None:
        document = self._shipments.find_one({"_id": shipment_id})
        return None if document is None else Shipment.of(document)

    @store_errors
    def order_is_open(self, order_id: str | None) -> bool:
        """Whether the order exists and is open."""
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
        """The status effect: count the event and set ``change`` (empty for a late event).

        applied: returns those of the given ids that the ledger has recorded as applied. Returns
        False, having changed nothing, if the shipment has changed since it was read.
        """
        recent = as_read.recent_events
        if len(recent) >= RECENT_MAX:
            old = recent[: len(recent) - RECENT_KEPT]
            recorded = applied(old)
            recent = tuple(id for id in recent if id not in recorded)
        # A shipment that another system created may have no counter yet.
        counted: Any = as_read.events_applied or {"$in": [0, None]}
        result = self._shipments.update_one(
            {"_id": as_read.id, "events_applied": counted, "recent_events": {"$ne": event_id}},
            # Not $inc, which fails on null; the condition on the counter makes $set equivalent.
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
        """The route effect: put ``route`` (with ``event_id``, ``status`` and ``occurred_at``) on
        the shipment unless a later event's route is there. Idempotent. Returns False if one is.

        Of two events of the same time, the one whose status ranks higher is the later, as in the
        decision. So a delayed write never replaces the route of a later event.
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
