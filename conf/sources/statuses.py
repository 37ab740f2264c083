"""The canonical statuses of a shipment, the same for all couriers.

Invariant: two events with the same courier time lead to the same status in either order. So
``rank`` puts the terminal statuses, which no event changes, above all others.
"""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """The status of a shipment."""

    LABEL_CREATED = "label_created"
    PICKED_UP = "picked_up"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"
    DELIVERY_FAILED = "delivery_failed"
    EXCEPTION = "exception"
    ADDRESS_CHANGED = "address_changed"
    DELAYED = "delayed"
    RETURNED = "returned"
    CANCELLED = "cancelled"

    @property
    def rank(self) -> int:
        """Of two events with the same courier time, the status of higher rank applies."""
        return _RANK[self]

    @property
    def terminal(self) -> bool:
        """Whether no event moves a shipment out of this status."""
        return self in TERMINAL


TERMINAL = frozenset({Status.DELIVERED, Status.RETURNED, Status.CANCELLED})

_RANK = {
    status: rank
    for rank, status in enumerate(sorted(Status, key=TERMINAL.__contains__))  # sorted is stable
}
