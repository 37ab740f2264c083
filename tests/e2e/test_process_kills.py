"""Processes and stores are killed or restarted under load: no event is lost or applied twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.support.running_gateway import WAIT_SECONDS, RunningGateway
from tests.support.servers import await_true
from workers import mongo


@pytest.fixture(autouse=True)
def _all_run_again(gateway: RunningGateway) -> Iterator[None]:
    """Wait until every program runs again, so that the next test finds all of them."""
    before = gateway.pids().keys()
    yield
    await_true(lambda: gateway.pids().keys() == before, WAIT_SECONDS, "every program to run again")


def one_effect_each(gateway: RunningGateway, ids: list[str], shipments: list[str]) -> None:
    gateway.await_done(ids)
    for id, shipment in zip(ids, shipments, strict=True):
        found = gateway.shipment_now(shipment)
        assert (found["events_applied"], found["recent_events"]) == (1, [id])
        assert found["route"]["event_id"] == id
        assert gateway.entry(id)["outcome"] == "routed"


def test_a_routing_worker_killed_during_calls_loses_none_of_its_events(
    gateway: RunningGateway,
) -> None:
    gateway.behave(latency_ms=3000)
    shipments = [gateway.shipment() for _ in range(10)]
    ids = [gateway.post(shipment) for shipment in shipments]
    await_true(lambda: gateway.routing("in_flight") == 10, WAIT_SECONDS)
    owners = [gateway.event(id)["owner"] for id in ids]
    owner = max(set(owners), key=owners.count)
    held = owners.count(owner)
    gateway.kill(gateway.pid(f"worker-routing:{owner.rpartition('/')[2]}"))
    gateway.behave()
    one_effect_each(gateway, ids, shipments)
    assert gateway.counted("crashed") == held
    assert gateway.counted("retried") == 0
    assert gateway.routing("calls") == 10 + held
    assert gateway.routing("abandoned") == held


def test_a_lookup_worker_killed_repeatedly_applies_no_event_twice(
    gateway: RunningGateway,
) -> None:
    shipment = gateway.shipment()
    ids: list[str] = []
    for round in range(3):
        before = gateway.pids()["worker-lookup:worker-lookup_00"]
        ids += [gateway.post(shipment, "in_transit") for _ in range(15)]
        gateway.kill(before)
        ids += [gateway.post(shipment, "in_transit") for _ in range(5)]
        await_true(
            lambda before=before: (
                gateway.pids().get(  # type: ignore[misc]
                    "worker-lookup:worker-lookup_00", before
                )
                != before
            ),
            WAIT_SECONDS,
            f"round {round}",
        )
    gateway.await_done(ids)
    assert gateway.shipment_now(shipment)["events_applied"] == len(ids)


@pytest.mark.parametrize("stores", [["redis"], ["redis", "mongod"]], ids="+".join)
def test_after_stores_were_killed_under_load_everything_resumes_without_a_restart(
    gateway: RunningGateway, stores: list[str]
) -> None:
    ours = {name: pid for name, pid in gateway.pids().items() if name not in ("redis", "mongod")}
    gateway.behave(latency_ms=300)
    shipments = [gateway.shipment() for _ in range(60)]
    ids = [gateway.post(shipment) for shipment in shipments[:30]]
    await_true(lambda: gateway.routing("succeeded") >= 3, WAIT_SECONDS)
    gateway.kill(*[gateway.pid(store) for store in stores])
    ids += [gateway.post(shipment) for shipment in shipments[30:]]
    one_effect_each(gateway, ids, shipments)
    assert gateway.counted("retried") == 0
    assert gateway.counted("buried") == 0
    after = gateway.pids()
    assert {name: after.get(name) for name in ours} == ours


def test_while_mongodb_is_down_the_edge_accepts_and_workers_wait_without_consuming_attempts(
    gateway: RunningGateway,
) -> None:
    gateway.behave(latency_ms=300)
    shipments = [gateway.shipment() for _ in range(60)]
    ids = [gateway.post(shipment) for shipment in shipments[:30]]
    await_true(lambda: gateway.routing("in_flight") >= 4, WAIT_SECONDS)
    gateway.kill(gateway.pid("mongod"))
    # Wait until it listens: between fork and exec it would miss the signal of the stop.
    await_true(lambda: mongo.answers(gateway.mongo), WAIT_SECONDS, "mongod, started again")
    gateway.stack.ctl("stop", "mongod")
    try:
        ids += [gateway.post(shipment) for shipment in shipments[30:]]
        await_true(lambda: gateway.counted("deferred") > 0, WAIT_SECONDS)
        await_true(lambda: gateway.counters().locked_total == 0, WAIT_SECONDS)
        assert (
            gateway.command("show", ids[-1]).returncode == 0
        )  # Redis's part is shown without MongoDB
    finally:  # the other tests need it
        gateway.stack.ctl("start", "mongod")
    one_effect_each(gateway, ids, shipments)
    assert (gateway.counted("retried"), gateway.counted("buried")) == (0, 0)
    assert gateway.routing("repeats") == 0  # stored answers were used, not requested again


def test_workers_restarted_under_load_finish_their_events_and_consume_no_attempt(
    gateway: RunningGateway,
) -> None:
    gateway.behave(latency_ms=400)
    shipments = [gateway.shipment() for _ in range(60)]
    ids: list[str] = []
    sender = threading.Thread(target=lambda: ids.extend(map(gateway.post, shipments)))
    sender.start()
    await_true(lambda: gateway.routing("in_flight") >= 4, WAIT_SECONDS)
    before = gateway.pids()
    gateway.stack.ctl("restart", "worker-routing:*", "worker-lookup:*")
    sender.join(WAIT_SECONDS)
    one_effect_each(gateway, ids, shipments)
    after = gateway.pids()
    assert all(after[name] != pid for name, pid in before.items() if name.startswith("worker"))
    assert (gateway.counted("crashed"), gateway.counted("retried")) == (0, 0)
    assert gateway.routing("abandoned") == 0
    assert gateway.routing("repeats") == 0
