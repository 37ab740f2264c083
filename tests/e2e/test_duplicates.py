"""Duplicates sent while an event is in each of its states: one event, one effect."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from tests.support.running_gateway import WAIT_SECONDS, RunningGateway
from tests.support.servers import await_true

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def test_a_duplicate_in_any_state_is_acknowledged_and_changes_nothing(
    gateway: RunningGateway,
) -> None:
    shipment, event = gateway.shipment(), "evt_duplicated"
    id = f"bench:{event}"

    def duplicate_in(state: str) -> None:
        gateway.await_state(state, id)
        before = gateway.event(id)
        assert gateway.post_once(shipment, event=event, at=NOON) == 200
        assert gateway.event(id) == before
        assert gateway.state(id) == state

    lookup = gateway.pid("worker-lookup:worker-lookup_00")
    os.kill(lookup, signal.SIGSTOP)  # it holds no event, so no lease expires
    try:
        assert gateway.post_once(shipment, event=event, at=NOON) == 202
        duplicate_in("ready lookup")
    finally:
        gateway.behave(latency_ms=1500, fail_ratio=1, fail_status=429, retry_after=2)
        os.kill(lookup, signal.SIGCONT)
    duplicate_in("locked routing")
    duplicate_in("retry routing")
    gateway.behave(fail_ratio=1, fail_status=400)
    duplicate_in("dead routing")
    gateway.behave()
    assert gateway.command("dead", "replay", id).returncode == 0
    duplicate_in("done")
    assert gateway.counted("duplicates") == 5
    assert (gateway.counted("accepted"), gateway.counted("done")) == (1, 1)
    assert gateway.calls_of(id) == 1
    assert gateway.shipment_now(shipment)["events_applied"] == 1


def test_the_same_events_sent_by_many_couriers_at_once_take_effect_once(
    gateway: RunningGateway,
) -> None:
    shipment = gateway.shipment()
    names = [f"evt_again_{n}" for n in range(20)]
    with ThreadPoolExecutor(6) as couriers:
        list(
            couriers.map(
                lambda name: gateway.post(shipment, "in_transit", event=name, at=NOON), names * 3
            )
        )
    gateway.await_done(f"bench:{name}" for name in names)
    assert gateway.counted("duplicates") == 40
    assert gateway.shipment_now(shipment)["events_applied"] == 20


def test_a_duplicate_with_another_body_is_a_duplicate_and_counted_as_conflicting(
    gateway: RunningGateway,
) -> None:
    shipment = gateway.shipment()
    id = gateway.post(shipment, "in_transit", event="evt_conflict", at=NOON)
    assert gateway.post_once(shipment, "delivered", event="evt_conflict", at=NOON) == 200
    gateway.await_done([id])
    assert gateway.post_once(shipment, "returned", event="evt_conflict", at=NOON) == 200
    assert gateway.counted("conflicting") == 2
    assert gateway.shipment_now(shipment)["status"] == "in_transit"


def test_an_event_sent_again_after_its_tombstone_is_absorbed_by_the_ledger(
    gateway: RunningGateway,
) -> None:
    shipment = gateway.shipment()
    id = gateway.post(shipment, event="evt_forgotten", at=NOON)
    gateway.await_done([id])
    before = gateway.shipment_now(shipment), gateway.entry(id)
    # As after the tombstone was trimmed: Redis does not know the id.
    gateway.redis.delete("{gw:0}:event:" + id)
    gateway.redis.zrem("{gw:0}:done", id)
    assert gateway.post_once(shipment, event="evt_forgotten", at=NOON) == 202
    gateway.await_done([id])
    await_true(lambda: gateway.counted("done:already_done") == 1, WAIT_SECONDS)
    assert (gateway.shipment_now(shipment), gateway.entry(id)) == before
    assert gateway.calls_of(id) == 1
