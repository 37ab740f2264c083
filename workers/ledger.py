"""The ledger: one document an event, which proves what was done and under which fence.

Invariant: only the holder of the highest fencing token writes, and nothing changes once the state
is ``done``. A worker writes the ledger first, then Redis. ``dead`` in the ledger is a note, which a
higher fence may claim (after a replay); Redis alone decides whether an event is dead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from scheduler.events import Reserved
from workers.errors import AlreadyDone, FenceRaised, LostFence
from workers.mongo import store_errors

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger document after the claim. decision: the one that was applied, else the caller's.
    applied: whether the status effect is recorded."""

    decision: Document | None
    applied: bool


class Ledger:
    """The collection ``events``. Every method raises ``StoreUnavailable`` when MongoDB is
    unavailable."""

    def __init__(self, database: Database[Document]) -> None:
        self._events: Collection[Document] = database["events"]

    @store_errors
    def claim(self, event: Reserved, fields: Document, decision: Document | None = None) -> Entry:
        """Write this holder's fence into the event's document, which is created if need be.

        fields: what the ledger records about the event (shipment_id, status …). decision: what the
        holder is about to do; it does not replace a decision that was applied.
        Raises ``AlreadyDone``, or ``FenceRaised`` when the document has a higher fence.
        """
        decided: Document = {}
        if decision is not None:
            # $literal, because a value that starts with a dollar sign is an expression here.
            applied = {"$ifNull": ["$applied_at", None]}
            decided = {"decision": {"$cond": [applied, "$decision", {"$literal": decision}]}}
        update = {
            "fence": event.fence,
            "state": "processing",
            "source": {"$literal": event.source},
            "attempts": event.attempts,
            "received_at": from_ms(event.received_at_ms),
            **decided,
            **{name: {"$literal": value} for name, value in fields.items()},
        }
        while True:
            try:
                document = self._events.find_one_and_update(
                    self._claimable(event),
                    [{"$set": update}],
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                    projection={"decision": 1, "applied_at": 1},
                )
            except DuplicateKeyError:
                self._raise_if_not_claimable(
                    event
                )  # returns only if the document changed in between
                continue
            assert document is not None  # as upsert with ReturnDocument.AFTER returns one
            return Entry(document.get("decision"), document.get("applied_at") is not None)

    @staticmethod
    def _claimable(event: Reserved) -> Document:
        # Not $lte: a document without a fence has no holder and may be claimed.
        return {"_id": event.id, "fence": {"$not": {"$gt": event.fence}}, "state": {"$ne": "done"}}

    def _raise_if_not_claimable(self, event: Reserved) -> None:
        found = self._events.find_one({"_id": event.id}, {"state": 1, "fence": 1}) or {}
        if found.get("state") == "done":
            raise AlreadyDone(event.id)
        if found.get("fence", 0) > event.fence:
            raise FenceRaised(int(found["fence"]))

    @store_errors
    def is_done(self, id: str) -> bool:
        return self._events.find_one({"_id": id, "state": "done"}, {"_id": 1}) is not None

    @store_errors
    def applied(self, ids: Iterable[str]) -> set[str]:
        """Those of the ids whose status effect the ledger has recorded."""
        query = {"_id": {"$in": list(ids)}, "applied_at": {"$exists": True}}
        return {document["_id"] for document in self._events.find(query, {"_id": 1})}

    def mark_applied(self, event: Reserved) -> None:
        """The status effect is on the shipment. Raises ``LostFence``."""
        self._write(event, {"applied_at": _now()})

    def close(
        self, event: Reserved, outcome: str, *, applied: bool = False, route: Document | None = None
    ) -> None:
        """Mark the event done, for good. applied: record the status effect as well. Raises
        ``LostFence``."""
        now = _now()
        change: Document = {"state": "done", "outcome": outcome, "done_at": now}
        if applied:
            change["applied_at"] = now
        if route is not None:
            change["route"] = route
        self._write(event, change)

    @store_errors
    def note_dead(self, event: Reserved, reason: str, error: str) -> bool:
        """Note that the event is dead, under this holder's fence, so that an earlier holder that
        still works cannot close it. An event that was never claimed gets no note. Returns False if
        the event is done."""
        note = {
            "state": "dead",
            "reason": reason,
            "error": error,
            "dead_at": _now(),
            "fence": event.fence,
        }
        result = self._events.update_one(self._claimable(event), {"$set": note})
        return result.matched_count == 1 or not self.is_done(event.id)

    @store_errors
    def _write(self, event: Reserved, change: Document) -> None:
        result = self._events.update_one(
            {"_id": event.id, "fence": event.fence, "state": {"$ne": "done"}}, {"$set": change}
        )
        if result.matched_count != 1:
            raise LostFence(event.id)


def from_ms(ms: int) -> datetime:
    """ms: since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def _now() -> datetime:
    return datetime.now(UTC)
