"""An event's path through all processes, for each outcome."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.support.running_gateway import WAIT_SECONDS, RunningGateway
from tests.support.servers import await_true

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def test_an_event_is_accepted_applied_routed_and_done(gateway: RunningGateway) -> None:
    shipment = gateway.shipment()
    id = gateway.post(shipment, "delivery_failed", at=NOON)
    gateway.await_done([id])
    found = gateway.shipment_now(shipment)
    assert (found["status"], found["last_event_at"]) == ("delivery_failed", NOON)
    assert (found["events_applied"], found["recent_events"]) == (1, [id])
    assert found["route"]["event_id"] == id
    assert found["route"]["answer"]["idempotency_key"] == id
    entry = gateway.entry(id)
    assert (entry["state"], entry["outcome"], entry["attempts"]) == ("done", "routed", 0)
    assert gateway.event(id).keys() == {"state", "digest"}
    assert gateway.redis.exists("{gw:0}:body:" + id) == 0
    assert gateway.calls_of(id) == 1


def test_an_event_that_needs_no_route_makes_no_routing_call(gateway: RunningGateway) -> None:
    shipment = gateway.shipment()
    id = gateway.post(shipment, "in_transit")
    gateway.await_done([id])
    assert gateway.entry(id)["outcome"] == "recorded"
    assert gateway.shipment_now(shipment)["status"] == "in_transit"
    assert gateway.routing("calls") == 0


def test_a_failing_routing_call_is_retried_until_it_succeeds_and_no_more(
    gateway: RunningGateway,
) -> None:
    gateway.behave(fail_first=2)
    ids = [gateway.post(gateway.shipment()) for _ in range(3)]
    gateway.await_done(ids)
    assert [gateway.entry(id)["attempts"] for id in ids] == [2, 2, 2]
    assert (gateway.routing("calls"), gateway.routing("succeeded")) == (9, 3)
    assert gateway.counted("retried") == 6


def test_the_status_is_applied_while_routing_still_fails(gateway: RunningGateway) -> None:
    gateway.behave(fail_ratio=1, fail_status=429, retry_after=2)
    shipment = gateway.shipment()
    id = gateway.post(shipment, "delayed")
    gateway.await_state("retry routing", id)
    assert gateway.shipment_now(shipment)["status"] == "delayed"
    assert gateway.shipment_now(shipment).get("route") is None
    assert gateway.event(id)["last_error"] == "status 429"


def test_a_permanent_routing_error_dead_letters_the_event_and_a_replay_completes_it(
    gateway: RunningGateway,
) -> None:
    gateway.behave(fail_ratio=1, fail_status=422)
    shipment = gateway.shipment()
    id = gateway.post(shipment)
    gateway.await_state("dead routing", id)
    fields = gateway.event(id)
    assert (fields["reason"], fields["last_error"]) == ("permanent", "status 422")
    assert (fields["attempts"], gateway.routing("calls")) == ("1", 1)
    assert gateway.entry(id)["state"] == "dead"
    gateway.behave()
    assert gateway.command("dead", "replay", id).returncode == 0
    gateway.await_done([id])
    assert gateway.entry(id)["outcome"] == "routed"
    assert gateway.shipment_now(shipment)["events_applied"] == 1


def test_an_event_is_dead_lettered_with_its_last_error_after_its_last_attempt(
    gateway: RunningGateway,
) -> None:
    gateway.behave(fail_ratio=1, fail_status=500)
    id = gateway.post(gateway.shipment())
    gateway.await_state("dead routing", id)
    fields = gateway.event(id)
    assert (fields["reason"], fields["attempts"]) == ("attempts_exhausted", "4")
    assert fields["last_error"] == "status 500"
    assert gateway.routing("calls") == 4
    gateway.behave()
    assert gateway.command("dead", "replay", id).returncode == 0
    gateway.await_done([id])


def test_an_event_that_arrives_before_its_shipment_waits_without_consuming_attempts(
    gateway: RunningGateway,
) -> None:
    shipment = gateway.shipment()
    document = gateway.shipment_now(shipment)
    gateway.mongo["shipments"].delete_one({"_id": shipment})
    id = gateway.post(shipment)
    await_true(lambda: int(gateway.event(id).get("waits", 0)) >= 2, WAIT_SECONDS)
    assert gateway.event(id)["reason"] == "unknown_shipment"
    gateway.mongo["shipments"].insert_one(document)
    gateway.await_done([id])
    assert gateway.entry(id)["attempts"] == 0
    assert gateway.counted("retried") == 0
    assert gateway.shipment_now(shipment)["events_applied"] == 1


def test_an_event_without_a_shipment_is_dead_lettered_after_unknown_shipment_seconds(
    gateway: RunningGateway,
) -> None:
    id = gateway.post("SHP-nowhere")
    gateway.await_state("dead lookup", id)
    fields = gateway.event(id)
    assert (fields["reason"], fields["attempts"]) == ("unknown_shipment", "0")
    assert int(fields["waits"]) >= 5
    dead_at_ms: float = gateway.redis.zscore("{gw:0}:dead", id)  # type: ignore[assignment]
    assert dead_at_ms - int(fields["received_at"]) >= 4000


def test_a_malformed_body_is_dead_lettered_at_once_with_the_reason(
    gateway: RunningGateway,
) -> None:
    shipment = gateway.shipment()
    id = gateway.post(shipment, "teleported")
    gateway.await_state("dead lookup", id)
    assert gateway.event(id)["reason"] == "malformed"
    assert "'teleported'" in gateway.event(id)["last_error"]
    assert "events_applied" not in gateway.shipment_now(shipment)


def test_events_out_of_order_leave_the_status_with_the_latest_courier_time(
    gateway: RunningGateway,
) -> None:
    shipment = gateway.shipment()
    history = [
        "picked_up",
        "in_transit",
        "exception",
        "in_transit",
        "out_for_delivery",
        "delivery_failed",
        "delayed",
    ]
    order = [3, 6, 0, 5, 1, 4, 2]
    ids = [gateway.post(shipment, history[n], at=NOON + timedelta(minutes=n)) for n in order]
    gateway.await_done(ids)
    found = gateway.shipment_now(shipment)
    assert (found["status"], found["last_event_at"]) == ("delayed", NOON + timedelta(minutes=6))
    assert found["events_applied"] == 7
    assert set(found["recent_events"]) == set(ids)
    assert found["route"]["event_id"] == ids[1]


def test_after_delivery_no_event_changes_the_status(gateway: RunningGateway) -> None:
    shipment = gateway.shipment()
    delivered = gateway.post(shipment, "delivered", at=NOON)
    gateway.await_done([delivered])
    later = gateway.post(shipment, "exception", at=NOON + timedelta(hours=1))
    gateway.await_done([later])
    assert gateway.shipment_now(shipment)["status"] == "delivered"
    assert gateway.shipment_now(shipment)["events_applied"] == 2
    assert gateway.entry(later)["outcome"] == "late"
    assert gateway.routing("calls") == 0
