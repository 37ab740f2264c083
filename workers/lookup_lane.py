"""The lookup lane: shipment and order, the decision, the status effect; then done or forward.

The order of the steps is the guarantee. The shipment is read before the claim, so that the claim
(fence not raised, not done) is the check that belongs to this read; the effect is conditional on
the shipment being as it was read. A miss starts again from the read.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

from conf.sources.model import Source
from scheduler.events import Reserved
from scheduler.retry_policy import unknown_shipment_delay_seconds
from workers.canonical import CanonicalEvent, canonical
from workers.decision import Decision, decide
from workers.errors import Ignored, Malformed, Transient
from workers.ledger import Ledger, at
from workers.results import Bury, Defer, Done, Forward, Result
from workers.shipments import Shipment, Shipments

# Each miss means that another event went on; only odd data could keep it missing for ever.
READS_MAX = 1_000


@dataclass(frozen=True)
class UnknownShipments:
    """patience: seconds that an event waits for its shipment. longest: between two looks."""

    patience: float
    longest: float


class LookupLane:
    """``handle`` is safe for threads."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        shipments: Shipments,
        ledger: Ledger,
        unknown: UnknownShipments,
    ) -> None:
        self._sources, self._shipments, self._ledger = sources, shipments, ledger
        self._unknown = unknown

    def handle(self, event: Reserved) -> Result:
        """Carry the event through the lane. Raises the errors of ``workers.errors``."""
        try:
            facts = read(event, self._sources)
        except Malformed as error:
            return Bury("malformed", str(error))
        except Ignored as nothing:
            return ignore(event, nothing, self._ledger)
        for _ in range(READS_MAX):
            shipment = self._shipments.find(facts.shipment_id)
            if shipment is None:
                return self._not_known_yet(event, facts)
            applied = event.id in shipment.recent_events
            decision = None if applied else self._decide(facts, shipment)
            entry = self._ledger.claim(
                event, facts.facts(), None if decision is None else decision.document()
            )
            if entry.decision is not None:
                decision = Decision.of(entry.decision)
            elif decision is None:  # applied, but the ledger was lost: what remains is to record
                decision = Decision(apply=False, route=False, reason="late")
            if entry.applied or applied or self._apply(facts, shipment, decision):
                return self._conclude(event, decision, entry.applied)
        raise Transient("the shipment changes faster than it can be read")

    def _conclude(self, event: Reserved, decision: Decision, noted: bool) -> Result:
        """The status effect is on the shipment. noted: the ledger says so."""
        if decision.route:
            if not noted:
                self._ledger.mark_applied(event)
            return Forward()
        self._ledger.close(event, decision.outcome, applied=not noted)
        return Done(decision.outcome)

    def _decide(self, facts: CanonicalEvent, shipment: Shipment) -> Decision:
        return decide(
            facts,
            status=shipment.status,
            last_event_at=shipment.last_event_at,
            active=shipment.active,
            order_open=self._shipments.order_is_open(shipment.order_id),
        )

    def _apply(self, facts: CanonicalEvent, shipment: Shipment, decision: Decision) -> bool:
        change = {}
        if decision.apply:
            change = {"status": facts.status.value, "last_event_at": facts.occurred_at}
        return self._shipments.apply(facts.id, shipment, change, self._ledger.applied)

    def _not_known_yet(self, event: Reserved, facts: CanonicalEvent) -> Result:
        if self._ledger.is_done(event.id):  # a late duplicate of an event whose shipment is gone
            return Done("already_done")
        if time.time() - event.live_since_ms / 1000 < self._unknown.patience:
            wait = unknown_shipment_delay_seconds(event.waits, self._unknown.longest, random.random)
            return Defer(wait, "unknown_shipment")
        return Bury("unknown_shipment", f"no shipment {facts.shipment_id}")


def ignore(event: Reserved, nothing: Ignored, ledger: Ledger) -> Result:
    """Close the ledger: the event is done, and no shipment was looked at."""
    ledger.claim(
        event, nothing.facts, Decision(apply=False, route=False, reason="status_ignored").document()
    )
    ledger.close(event, "ignored")
    return Done("ignored")


def read(event: Reserved, sources: Mapping[str, Source]) -> CanonicalEvent:
    """The canonical event. Raises ``Malformed``, also for a source that is configured no more, or
    ``Ignored``."""
    source = sources.get(event.source)
    if source is None:
        raise Malformed(f"source {event.source} is not in sources.toml")
    return canonical(event.id, source, event.body, at(event.received_at_ms))
