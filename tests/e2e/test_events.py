"""The way of an event through all processes, in every weather of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.support.running_gateway import PATIENCE, RunningGateway
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


def test_an_event_that_needs_no_route_never_reaches_the_service(gateway: RunningGateway) -> None:
    shipment = gateway.shipment()
    id = gateway.post(shipment, "in_transit")
    gateway.await_done([id])
    assert gateway.entry(id)["outcome"] == "recorded"
    assert gateway.shipment_now(shipment)["status"] == "in_transit"
    assert gateway.routing("calls") == 0


def test_routing_that_fails_at_first_is_tried_again_exactly_as_often_as_it_takes(
    gateway: RunningGateway,
) -> None:
    gateway.behave(fail_first=2)
    ids = [gateway.post(gateway.shipment()) for _ in range(3)]
    gateway.await_done(ids)
    assert [gateway.entry(id)["attempts"] for id in ids] == [2, 2, 2]
    assert (gateway.routing("calls"), gateway.routing("succeeded")) == (9, 3)
    assert gateway.counted("retried") == 6


def test_the_status_is_shown_while_routing_still_fails(gateway: RunningGateway) -> None:
    gateway.behave(fail_ratio=1, fail_status=429, retry_after=2)
    shipment = gateway.shipment()
    id = gateway.post(shipment, "delayed")
    gateway.await_state("retry routing", id)
    assert gateway.shipment_now(shipment)["status"] == "delayed"
    assert gateway.shipment_now(shipment).get("route") is None
    assert gateway.event(id)["last_error"] == "status 429"


def test_what_the_service_refuses_for_good_is_dead_with_the_reason_and_done_after_a_replay(
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


def test_an_event_whose_attempts_are_used_up_is_dead_and_keeps_its_last_error(
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


def test_an_event_that_overtakes_its_shipment_waits_for_it_and_burns_no_attempt(
    gateway: RunningGateway,
) -> None:
    shipment = gateway.shipment()
    document = gateway.shipment_now(shipment)
    gateway.mongo["shipments"].delete_one({"_id": shipment})
    id = gateway.post(shipment)
    await_true(lambda: int(gateway.event(id).get("waits", 0)) >= 2, PATIENCE)
    assert gateway.event(id)["reason"] == "unknown_shipment"
    gateway.mongo["shipments"].insert_one(document)
    gateway.await_done([id])
    assert gateway.entry(id)["attempts"] == 0
    assert gateway.counted("retried") == 0
    assert gateway.shipment_now(shipment)["events_applied"] == 1


def test_an_event_whose_shipment_never_comes_is_dead_after_its_time_and_not_before(
    gateway: RunningGateway,
) -> None:
    id = gateway.post("SHP-nowhere")
    gateway.await_state("dead lookup", id)
    fields = gateway.event(id)
    assert (fields["reason"], fields["attempts"]) == ("unknown_shipment", "0")
    assert int(fields["waits"]) >= 5
    died: float = gateway.redis.zscore("{gw:0}:dead", id)  # type: ignore[assignment]
    assert died - int(fields["received_at"]) >= 4000


def test_a_body_that_cannot_be_understood_is_dead_at_once_and_says_why(
    gateway: RunningGateway,
) -> None:
    shipment = gateway.shipment()
    id = gateway.post(shipment, "teleported")
    gateway.await_state("dead lookup", id)
    assert gateway.event(id)["reason"] == "malformed"
    assert "'teleported'" in gateway.event(id)["last_error"]
    assert "events_applied" not in gateway.shipment_now(shipment)


def test_events_out_of_order_leave_the_status_of_the_courier_s_latest_time(
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


def test_after_delivery_nothing_moves_the_shipment(gateway: RunningGateway) -> None:
    shipment = gateway.shipment()
    delivered = gateway.post(shipment, "delivered", at=NOON)
    gateway.await_done([delivered])
    later = gateway.post(shipment, "exception", at=NOON + timedelta(hours=1))
    gateway.await_done([later])
    assert gateway.shipment_now(shipment)["status"] == "delivered"
    assert gateway.shipment_now(shipment)["events_applied"] == 2
    assert gateway.entry(later)["outcome"] == "late"
    assert gateway.routing("calls") == 0
