"""The canonical statuses of a shipment: one vocabulary for all couriers.

Invariant: two events of the same courier time end in the same status whichever comes first. So
``rank`` puts the terminal statuses, which absorb, above all others.
"""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Where a shipment stands. As text it is its own name."""

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
        """Breaks ties of courier time: the higher rank wins."""
        return _RANK[self]

    @property
    def terminal(self) -> bool:
        """Whether nothing moves a shipment out of this status."""
        return self in TERMINAL


TERMINAL = frozenset({Status.DELIVERED, Status.RETURNED, Status.CANCELLED})

_RANK = {
    status: rank
    for rank, status in enumerate(sorted(Status, key=TERMINAL.__contains__))  # sorted is stable
}
