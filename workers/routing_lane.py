"""The routing lane: one slow call, its answer on the shipment, the ledger closed.

A route that was answered is never asked for again: where it cannot be recorded, the event carries
it until it can be, and the Routing Service knows a repeated call by its Idempotency-Key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from conf.sources.model import Source
from scheduler.events import Reserved
from workers.canonical import CanonicalEvent
from workers.errors import Ignored, Malformed, StoreUnavailable
from workers.ledger import Ledger
from workers.lookup_lane import ignore, read
from workers.results import Bury, Defer, Done, Result
from workers.shipments import Shipment, Shipments

Document = dict[str, Any]
# Makes the call: (idempotency key, request) -> the service's answer. Raises what it may.
Call = Callable[[str, Document], Document]
RECORD_AGAIN_SECONDS = 1.0


class RoutingLane:
    """``handle`` is safe for threads."""

    def __init__(self, sources: Mapping[str, Source], shipments: Shipments, ledger: Ledger) -> None:
        self._sources, self._shipments, self._ledger = sources, shipments, ledger

    def handle(self, event: Reserved, call: Call) -> Result:
        """Carry the event through the lane. Raises the errors of ``workers.errors``."""
        try:
            facts = read(event, self._sources)
        except Malformed as error:
            return Bury("malformed", str(error))
        except Ignored as nothing:  # by a table that was changed since the event was forwarded
            return ignore(event, nothing, self._ledger)
        shipment = self._shipments.find(facts.shipment_id)
        if shipment is None:
            return Bury("shipment_gone", f"shipment {facts.shipment_id} was deleted")
        self._ledger.claim(event, facts.facts())
        answer = self._known_answer(event, shipment)
        if answer is None:
            answer = call(event.id, request(facts, shipment))
        try:
            outcome = self._record(event, facts, answer)
        except StoreUnavailable:
            return Defer(RECORD_AGAIN_SECONDS, "route_not_recorded", route=orjson.dumps(answer))
        return Done(outcome)

    def _known_answer(self, event: Reserved, shipment: Shipment) -> Document | None:
        """What an earlier holder was answered, if it came to note it."""
        if event.route:
            with contextlib.suppress(orjson.JSONDecodeError):
                carried = orjson.loads(event.route)
                if isinstance(carried, dict):
                    return carried
        if shipment.route is not None and shipment.route.get("event_id") == event.id:
            return shipment.route.get("answer")
        return None

    def _record(self, event: Reserved, facts: CanonicalEvent, answer: Document) -> str:
        route = {
            "event_id": event.id,
            "status": facts.status.value,
            "occurred_at": facts.occurred_at,
            "answer": answer,
        }
        current = self._shipments.set_route(facts.shipment_id, route)
        outcome = "routed" if current else "route_superseded"
        self._ledger.close(event, outcome, route=answer)
        return outcome


def request(facts: CanonicalEvent, shipment: Shipment) -> Document:
    """What the Routing Service is told."""
    return {
        "event_id": facts.id,
        "shipment_id": facts.shipment_id,
        "status": facts.status.value,
        "occurred_at": facts.occurred_at.isoformat(),
        "order_id": shipment.order_id,
        "merchant_id": shipment.merchant_id,
    }
