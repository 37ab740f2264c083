"""Redis is emptied and MongoDB is not: an event that is sent again has no second effect."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.support.running_gateway import WAIT_SECONDS, RunningGateway
from tests.support.servers import await_true

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
TEN_YEARS = 315_360_000_000_000  # µs


def test_done_events_are_absorbed_and_unfinished_ones_take_effect_once(
    gateway: RunningGateway,
) -> None:
    names = [f"evt_emptied_{n}" for n in range(8)]
    shipments = [gateway.shipment() for _ in names]

    def send(which: slice) -> list[str]:
        return [
            gateway.post(shipment, event=name, at=NOON)
            for name, shipment in zip(names[which], shipments[which], strict=True)
        ]

    done = send(slice(0, 4))
    gateway.await_done(done)
    gateway.behave(latency_ms=1500)
    unfinished = send(slice(4, 8))
    await_true(lambda: gateway.routing("in_flight") == 4, WAIT_SECONDS, "calls in flight")
    documents = [gateway.entry(id) for id in done]
    fences = {id: gateway.entry(id)["fence"] for id in unfinished}
    gateway.redis.flushall()
    assert send(slice(0, 8)) == done + unfinished
    gateway.await_done(done + unfinished)
    assert [gateway.entry(id) for id in done] == documents
    for id, shipment in zip(done + unfinished, shipments, strict=True):
        found = gateway.shipment_now(shipment)
        assert (found["events_applied"], found["recent_events"]) == (1, [id])
        assert found["route"]["event_id"] == id
        # The first holder may have completed it: either way the fence never decreases.
        assert gateway.entry(id)["state"] == "done"
        assert gateway.entry(id)["fence"] >= fences.get(id, 0)
    assert all(gateway.calls_of(id) == 1 for id in done)


def test_fences_increase_even_if_the_clock_of_redis_is_behind_those_in_the_ledger(
    gateway: RunningGateway,
) -> None:
    shipment = gateway.shipment()
    gateway.behave(fail_ratio=1, fail_status=400)
    id = gateway.post(shipment, event="evt_behind", at=NOON)
    gateway.await_state("dead routing", id)
    ahead = gateway.entry(id)["fence"] + TEN_YEARS  # as issued by a Redis whose clock was ahead
    gateway.mongo["events"].update_one({"_id": id}, {"$set": {"fence": ahead}})
    gateway.behave()
    gateway.redis.flushall()
    assert gateway.post(shipment, event="evt_behind", at=NOON) == id
    gateway.await_done([id])
    entry, found = gateway.entry(id), gateway.shipment_now(shipment)
    assert (entry["state"], entry["outcome"]) == ("done", "routed")
    assert entry["fence"] > ahead
    assert (found["events_applied"], found["recent_events"]) == (1, [id])
    assert gateway.calls_of(id) == 1
