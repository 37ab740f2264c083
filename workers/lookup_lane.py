"""The lookup lane: shipment and order, the decision, the status effect; then done or forward.

Invariant: the shipment is read before the claim. What another holder did before the read, the claim
finds in the ledger; what it does after the read changes the shipment's counter, on which the effect
is conditional. Then the lane reads again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from conf.sources.model import Source
from scheduler.events import Reserved
from scheduler.keys import LaneName
from scheduler.retry_policy import unknown_shipment_delay_seconds
from workers.canonical_event import CanonicalEvent, to_canonical
from workers.errors import Ignored, Malformed, Transient
from workers.jobs import Job
from workers.ledger import Ledger, from_ms
from workers.results import Bury, Defer, Done, Forward, Result
from workers.routing_decision import Decision, decide
from workers.shipments import Shipment, Shipments

# Each miss means that another event was applied in between; only a document in an unexpected shape
# could miss for ever.
READS_MAX = 1_000


@dataclass(frozen=True)
class UnknownShipments:
    """How long an event waits for a shipment that does not exist yet, in all and between reads."""

    patience_seconds: float
    longest_wait_seconds: float


@dataclass(frozen=True)
class LookupLane:
    """Needs no permits; all slots may be in use at any time. clock: seconds since 1970. uniform
    draws from [0, 1)."""

    sources: Mapping[str, Source]
    shipments: Shipments
    ledger: Ledger
    unknown: UnknownShipments
    slots: int
    clock: Callable[[], float]
    uniform: Callable[[], float]
    name: LaneName = field(default="lookup", init=False)

    def allowed(self) -> int:
        return self.slots

    def permits(self, wanted: int) -> list[str | None]:
        return [None] * wanted

    def give_back(self, permits: list[str | None]) -> None:
        pass

    def refresh(self) -> None:
        pass

    def permit_wait_seconds(self) -> float:
        return 0.0

    def handle(self, job: Job) -> Result:
        event = job.event
        try:
            canonical = read(event, self.sources)
        except Malformed as error:
            return Bury("malformed", str(error))
        except Ignored as ignored:
            return close_ignored(event, ignored, self.ledger)
        for _ in range(READS_MAX):
            shipment = self.shipments.find(canonical.shipment_id)
            if shipment is None:
                return self._not_known_yet(event, canonical)
            applied = event.id in shipment.recent_events
            decision = None if applied else self._decide(canonical, shipment)
            entry = self.ledger.claim(
                event, canonical.ledger_fields(), None if decision is None else decision.document()
            )
            if entry.decision is not None:
                decision = Decision.of(entry.decision)
            elif decision is None:  # applied, but the ledger was lost: what remains is to record
                decision = Decision(apply=False, route=False, reason="late")
            if entry.applied or applied or self._apply(canonical, shipment, decision):
                return self._conclude(event, decision, entry.applied)
        raise Transient("the shipment changes faster than it can be read")

    def _conclude(self, event: Reserved, decision: Decision, noted: bool) -> Result:
        """The status effect is on the shipment. noted: the ledger has ``applied_at``."""
        if decision.route:
            if not noted:
                self.ledger.mark_applied(event)
            return Forward()
        self.ledger.close(event, decision.outcome, applied=not noted)
        return Done(decision.outcome)

    def _decide(self, canonical: CanonicalEvent, shipment: Shipment) -> Decision:
        return decide(
            canonical,
            status=shipment.status,
            last_event_at=shipment.last_event_at,
            active=shipment.active,
            order_open=self.shipments.order_is_open(shipment.order_id),
        )

    def _apply(self, canonical: CanonicalEvent, shipment: Shipment, decision: Decision) -> bool:
        change = {}
        if decision.apply:
            change = {"status": canonical.status.value, "last_event_at": canonical.occurred_at}
        return self.shipments.apply(canonical.id, shipment, change, self.ledger.applied)

    def _not_known_yet(self, event: Reserved, canonical: CanonicalEvent) -> Result:
        if self.ledger.is_done(event.id):  # a late duplicate of an event whose shipment is gone
            return Done("already_done")
        if self.clock() - event.live_since_ms / 1000 < self.unknown.patience_seconds:
            wait = unknown_shipment_delay_seconds(
                event.waits, self.unknown.longest_wait_seconds, self.uniform
            )
            return Defer(wait, "unknown_shipment")
        return Bury("unknown_shipment", f"no shipment {canonical.shipment_id}")


def close_ignored(event: Reserved, ignored: Ignored, ledger: Ledger) -> Result:
    """Close the ledger: the event is done, and no shipment was read."""
    decision = Decision(apply=False, route=False, reason="status_ignored")
    ledger.claim(event, ignored.ledger_fields, decision.document())
    ledger.close(event, "ignored")
    return Done("ignored")


def read(event: Reserved, sources: Mapping[str, Source]) -> CanonicalEvent:
    """The canonical event. Raises ``Malformed``, also for a source that is no longer configured,
    or ``Ignored``."""
    source = sources.get(event.source)
    if source is None:
        raise Malformed(f"source {event.source} is not in sources.toml")
    return to_canonical(event.id, source, event.body, from_ms(event.received_at_ms))
