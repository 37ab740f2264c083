"""The routing lane: one slow call, its answer on the shipment, the ledger closed.

Invariant: an answer is never asked for again. Where it cannot be recorded, the event carries it
until it can be; where it was lost, the Routing Service knows the repeated call by its
Idempotency-Key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from conf.sources.model import Source
from scheduler.events import Reserved
from scheduler.keys import LaneName
from workers.breaker_gate import BreakerGate
from workers.canonical_event import CanonicalEvent
from workers.concurrency_limit import ConcurrencyLimit
from workers.errors import Ignored, Malformed, Permanent, StoreUnavailable, Transient
from workers.jobs import Job
from workers.ledger import Ledger
from workers.lookup_lane import close_ignored, read
from workers.results import Bury, Defer, Done, Result
from workers.routing_client import RoutingClient
from workers.shipments import Shipment, Shipments

Document = dict[str, Any]
# Before another try to record an answer that MongoDB refused. Shorter costs a store in trouble more
# work, longer delays the route.
RECORD_AGAIN_SECONDS = 1.0


@dataclass(frozen=True)
class RoutingLane:
    """Takes as many events as the concurrency limit and the circuit breaker allow."""

    sources: Mapping[str, Source]
    shipments: Shipments
    ledger: Ledger
    client: RoutingClient
    gate: BreakerGate
    limit: ConcurrencyLimit
    name: LaneName = field(default="routing", init=False)

    def allowed(self) -> int:
        return self.limit.allowed

    def permits(self, wanted: int) -> list[str | None]:
        return self.gate.permits(wanted)

    def give_back(self, permits: list[str | None]) -> None:
        self.gate.give_back([permit for permit in permits if permit is not None])

    def refresh(self) -> None:
        self.gate.refresh()

    def permit_wait_seconds(self) -> float:
        return self.gate.wait_seconds

    def handle(self, job: Job) -> Result:
        event = job.event
        try:
            canonical = read(event, self.sources)
        except Malformed as error:
            return Bury("malformed", str(error))
        except Ignored as ignored:  # the source's table was changed after the event was forwarded
            return close_ignored(event, ignored, self.ledger)
        shipment = self.shipments.find(canonical.shipment_id)
        if shipment is None:
            return Bury("shipment_gone", f"shipment {canonical.shipment_id} was deleted")
        self.ledger.claim(event, canonical.ledger_fields())
        answer = self._known_answer(event, shipment)
        if answer is None:
            answer = self._call(job, routing_request(canonical, shipment))
        try:
            outcome = self._record(event, canonical, answer)
        except StoreUnavailable:
            return Defer(RECORD_AGAIN_SECONDS, "route_not_recorded", route=orjson.dumps(answer))
        return Done(outcome)

    def _known_answer(self, event: Reserved, shipment: Shipment) -> Document | None:
        """The answer that an earlier holder received, if the event or the shipment has it."""
        if event.route:
            with contextlib.suppress(orjson.JSONDecodeError):
                carried = orjson.loads(event.route)
                if isinstance(carried, dict):
                    return carried
        if shipment.route is not None and shipment.route.get("event_id") == event.id:
            return shipment.route.get("answer")
        return None

    def _call(self, job: Job, request: Document) -> Document:
        """The Routing Service's answer; breaker and limit learn how the call went."""
        self.gate.check(job)
        try:
            answer = self.client.route(job.event.id, request)
        except Transient as error:
            if error.pushback:
                self.limit.pushed_back()
            self.gate.report(job, good=False)
            if not job.probe:
                # The breaker may have opened by now: in an outage the call consumes no attempt.
                self.gate.check(job)
            raise
        except Permanent:  # the service works; this request is at fault
            self.gate.report(job, good=True)
            raise
        self.limit.succeeded()
        self.gate.report(job, good=True)
        return answer

    def _record(self, event: Reserved, canonical: CanonicalEvent, answer: Document) -> str:
        route = {
            "event_id": event.id,
            "status": canonical.status.value,
            "occurred_at": canonical.occurred_at,
            "answer": answer,
        }
        current = self.shipments.set_route(canonical.shipment_id, route)
        outcome = "routed" if current else "route_superseded"
        self.ledger.close(event, outcome, route=answer)
        return outcome


def routing_request(canonical: CanonicalEvent, shipment: Shipment) -> Document:
    """The body of a call to the Routing Service."""
    return {
        "event_id": canonical.id,
        "shipment_id": canonical.shipment_id,
        "status": canonical.status.value,
        "occurred_at": canonical.occurred_at.isoformat(),
        "order_id": shipment.order_id,
        "merchant_id": shipment.merchant_id,
    }
