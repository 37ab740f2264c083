"""The routing decision, as a pure function of the event, its shipment and its order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from conf.sources.statuses import Status
from workers.canonical_event import CanonicalEvent

NEEDS_ROUTING = frozenset(
    {
        Status.PICKED_UP,
        Status.EXCEPTION,
        Status.DELIVERY_FAILED,
        Status.ADDRESS_CHANGED,
        Status.DELAYED,
    }
)


@dataclass(frozen=True, slots=True)
class Decision:
    """apply: the shipment takes the event's status. route: the Routing Service is called.

    reason: route | late | absorbed | status_needs_no_route | shipment_inactive | order_not_open |
    status_ignored (no shipment was read)
    """

    apply: bool
    route: bool
    reason: str

    def document(self) -> dict[str, Any]:
        """The form in which the ledger keeps it."""
        return {"apply": self.apply, "route": self.route, "reason": self.reason}

    @classmethod
    def of(cls, document: dict[str, Any]) -> Decision:
        return cls(bool(document["apply"]), bool(document["route"]), str(document["reason"]))

    @property
    def outcome(self) -> str:
        """The ledger's outcome when the Routing Service is not called: recorded | late."""
        return "recorded" if self.apply else "late"


def decide(
    event: CanonicalEvent,
    *,
    status: str | None,
    last_event_at: datetime | None,
    active: bool,
    order_open: bool,
) -> Decision:
    """status, last_event_at, active: the shipment's, as they were read.

    A shipment's status moves only forward in courier time; of two events of the same time, the one
    with the higher rank is the later. A terminal status absorbs every event of a later time.
    """
    current = _status(status)
    if last_event_at is not None:
        rank = -1 if current is None else current.rank
        if (event.occurred_at, event.status.rank) <= (last_event_at, rank):
            return Decision(apply=False, route=False, reason="late")
    if current is not None and current.terminal and event.occurred_at != last_event_at:
        return Decision(apply=False, route=False, reason="absorbed")
    if event.status not in NEEDS_ROUTING:
        return Decision(apply=True, route=False, reason="status_needs_no_route")
    if not active:
        return Decision(apply=True, route=False, reason="shipment_inactive")
    if not order_open:
        return Decision(apply=True, route=False, reason="order_not_open")
    return Decision(apply=True, route=True, reason="route")


def _status(text: str | None) -> Status | None:
    try:
        return None if text is None else Status(text)
    except ValueError:  # written by another system: it has no rank and absorbs nothing
        return None
