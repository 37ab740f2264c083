"""Processes and stores that die or restart at work: nothing is lost, nothing happens twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.support.running_gateway import PATIENCE, RunningGateway
from tests.support.servers import await_true
from workers import mongo


@pytest.fixture(autouse=True)
def _all_run_again(gateway: RunningGateway) -> Iterator[None]:
    """The next test finds every program running, also one that this test needed no longer."""
    before = gateway.pids().keys()
    yield
    await_true(lambda: gateway.pids().keys() == before, PATIENCE, "every program to run again")


def one_effect_each(gateway: RunningGateway, ids: list[str], shipments: list[str]) -> None:
    gateway.await_done(ids)
    for id, shipment in zip(ids, shipments, strict=True):
        found = gateway.shipment_now(shipment)
        assert (found["events_applied"], found["recent_events"]) == (1, [id])
        assert found["route"]["event_id"] == id
        assert gateway.entry(id)["outcome"] == "routed"


def test_a_routing_worker_killed_with_calls_in_its_hands_loses_none_of_them(
    gateway: RunningGateway,
) -> None:
    gateway.behave(latency_ms=3000)
    shipments = [gateway.shipment() for _ in range(10)]
    ids = [gateway.post(shipment) for shipment in shipments]
    await_true(lambda: gateway.routing("in_flight") == 10, PATIENCE)
    owners = [gateway.event(id)["owner"] for id in ids]
    victim = max(set(owners), key=owners.count)
    held = owners.count(victim)
    gateway.kill(gateway.pid(f"worker-routing:{victim.rpartition('/')[2]}"))
    gateway.behave()
    one_effect_each(gateway, ids, shipments)
    assert gateway.counted("crashed") == held
    assert gateway.counted("retried") == 0
    assert gateway.routing("calls") == 10 + held
    assert gateway.routing("abandoned") == held


def test_a_lookup_worker_killed_again_and_again_counts_no_event_twice(
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
            PATIENCE,
            f"round {round}",
        )
    gateway.await_done(ids)
    assert gateway.shipment_now(shipment)["events_applied"] == len(ids)


@pytest.mark.parametrize("stores", [["redis"], ["redis", "mongod"]], ids="+".join)
def test_stores_killed_in_full_work_come_back_and_everything_goes_on_by_itself(
    gateway: RunningGateway, stores: list[str]
) -> None:
    ours = {name: pid for name, pid in gateway.pids().items() if name not in ("redis", "mongod")}
    gateway.behave(latency_ms=300)
    shipments = [gateway.shipment() for _ in range(60)]
    ids = [gateway.post(shipment) for shipment in shipments[:30]]
    await_true(lambda: gateway.routing("succeeded") >= 3, PATIENCE)
    gateway.kill(*[gateway.pid(store) for store in stores])
    ids += [gateway.post(shipment) for shipment in shipments[30:]]
    one_effect_each(gateway, ids, shipments)
    assert gateway.counted("retried") == 0
    assert gateway.counted("buried") == 0
    after = gateway.pids()
    assert {name: after.get(name) for name in ours} == ours


def test_while_mongodb_is_away_the_edge_goes_on_and_the_workers_wait_without_burning_anything(
    gateway: RunningGateway,
) -> None:
    gateway.behave(latency_ms=300)
    shipments = [gateway.shipment() for _ in range(60)]
    ids = [gateway.post(shipment) for shipment in shipments[:30]]
    await_true(lambda: gateway.routing("in_flight") >= 4, PATIENCE)
    gateway.kill(gateway.pid("mongod"))
    # Until it listens it is no mongod yet: between fork and exec it would miss the stop's signal.
    await_true(lambda: mongo.answers(gateway.mongo), PATIENCE, "mongod, started again")
    gateway.stack.ctl("stop", "mongod")
    try:
        ids += [gateway.post(shipment) for shipment in shipments[30:]]
        await_true(lambda: gateway.counted("deferred") > 0, PATIENCE)
        await_true(lambda: gateway.counters().locked_total == 0, PATIENCE)
        assert gateway.command("show", ids[-1]).returncode == 0  # what Redis knows can be seen
    finally:  # the other tests need it
        gateway.stack.ctl("start", "mongod")
    one_effect_each(gateway, ids, shipments)
    assert (gateway.counted("retried"), gateway.counted("buried")) == (0, 0)
    assert gateway.routing("repeats") == 0  # what was answered was carried, not asked for again


def test_workers_restarted_in_full_work_finish_what_they_hold_and_burn_nothing(
    gateway: RunningGateway,
) -> None:
    gateway.behave(latency_ms=400)
    shipments = [gateway.shipment() for _ in range(60)]
    ids: list[str] = []
    sender = threading.Thread(target=lambda: ids.extend(map(gateway.post, shipments)))
    sender.start()
    await_true(lambda: gateway.routing("in_flight") >= 4, PATIENCE)
    before = gateway.pids()
    gateway.stack.ctl("restart", "worker-routing:*", "worker-lookup:*")
    sender.join(PATIENCE)
    one_effect_each(gateway, ids, shipments)
    after = gateway.pids()
    assert all(after[name] != pid for name, pid in before.items() if name.startswith("worker"))
    assert (gateway.counted("crashed"), gateway.counted("retried")) == (0, 0)
    assert gateway.routing("abandoned") == 0
    assert gateway.routing("repeats") == 0
