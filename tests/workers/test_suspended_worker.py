"""A worker that was suspended beyond its lease changes nothing when it continues, wherever it was
suspended."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from scheduler.keys import LaneName
from tests.support.servers import await_true
from tests.support.store_snapshot import changes, dump
from tests.support.worker_environment import WorkerEnvironment
from tests.support.worker_process import RealWorker, SuspendAt

NO_ROUTE = "in_transit"
# Where the worker is suspended, before or after the call, and the status of its event.
LOOKUP = [
    (SuspendAt("Shipments.find"), "delayed"),
    (SuspendAt("Ledger.claim"), "delayed"),
    (SuspendAt("Shipments.apply"), "delayed"),
    (SuspendAt("Shipments.apply", after=True), "delayed"),
    (SuspendAt("Queue.forward"), "delayed"),
    (SuspendAt("Queue.forward", after=True), "delayed"),
    (SuspendAt("Shipments.apply"), NO_ROUTE),
    (SuspendAt("Ledger.close"), NO_ROUTE),
    (SuspendAt("Queue.done"), NO_ROUTE),
]
ROUTING = [
    (SuspendAt("Ledger.claim"), "delayed"),
    (SuspendAt("RoutingClient.route"), "delayed"),
    (SuspendAt("RoutingClient.route", after=True), "delayed"),
    (SuspendAt("Ledger.close"), "delayed"),
    (SuspendAt("Queue.done"), "delayed"),
]


def redis_contents(environment: WorkerEnvironment) -> dict[str, Any]:
    """Without live processes, wake-up tokens and the breaker, which depend on timing."""
    return {
        key: content
        for key, content in dump(environment.redis).items()
        if key != "breaker" and not key.startswith(("gw:proc:", "wake:"))
    }


def contents(environment: WorkerEnvironment) -> dict[str, Any]:
    mongo = {
        f"{name} {document['_id']}": document
        for name in ("shipments", "orders", "events")
        for document in environment.mongo[name].find()
    }
    return redis_contents(environment) | mongo


def resume_and_finish(environment: WorkerEnvironment, suspended: RealWorker) -> None:
    """Continue the worker, and kill it when it has no event in work any more."""
    environment.redis.delete("gw:proc:host/suspended")
    suspended.signal(signal.SIGCONT)
    alive = "gw:proc:host/suspended"
    await_true(lambda: environment.redis.hget(alive, "busy") == "0", 30, "an idle worker")
    assert not suspended.logged("ERROR")
    suspended.kill()


@pytest.mark.parametrize(
    ("lane", "stop", "status"),
    [("lookup", *where) for where in LOOKUP] + [("routing", *where) for where in ROUTING],
    ids=lambda value: (
        f"{value.place}{' after' * value.after}" if isinstance(value, SuspendAt) else value
    ),
)
def test_a_worker_resumed_after_another_finished_its_event_changes_nothing(
    environment: WorkerEnvironment, lane: LaneName, stop: SuspendAt, status: str
) -> None:
    [id] = environment.post("SHP-2", status=status)
    if lane == "routing":
        environment.forward_all()
    suspended = environment.start(lane, "suspended", stop)
    suspended.await_suspended()
    environment.end_leases(lane)
    # Another event of the same shipment, so that what the suspended worker has read is outdated.
    later = environment.send("later", "SHP-2", status, "2026-11-23T05:30:00Z")
    if lane == "routing":
        environment.forward_all()
    others = [environment.start(lane, "other")]
    if lane == "lookup":
        others.append(environment.start("routing", "routing"))
    await_true(
        lambda: environment.state(id) == environment.state(later) == "done",
        60,
        "the other worker to finish",
    )
    for other in others:  # they hold no events now
        other.kill()
    before = contents(environment)
    resume_and_finish(environment, suspended)
    changed = changes(before, contents(environment))
    assert changed in ({}, {"stats": {"refused_stale": 1}})
    found = environment.mongo["shipments"].find_one({"_id": "SHP-2"}) or {}
    assert (found["events_applied"], set(found["recent_events"])) == (2, {id, later})


@pytest.mark.parametrize(
    "pauses",
    [
        ("lookup", SuspendAt("Ledger.claim"), SuspendAt("Shipments.apply")),
        ("lookup", SuspendAt("Shipments.apply"), SuspendAt("Shipments.apply")),
        ("lookup", SuspendAt("Shipments.apply", after=True), SuspendAt("Ledger.claim")),
        ("routing", SuspendAt("RoutingClient.route", after=True), SuspendAt("RoutingClient.route")),
        ("routing", SuspendAt("Ledger.close"), SuspendAt("Ledger.close")),
    ],
    ids=lambda pauses: f"{pauses[1].place}-{pauses[2].place}",
)
def test_a_worker_resumed_while_another_processes_its_event_does_not_disturb_it(
    environment: WorkerEnvironment, pauses: tuple[LaneName, SuspendAt, SuspendAt]
) -> None:
    """The one effect may come from the suspended worker, if the other is not that far yet."""
    lane, first, second = pauses
    [id] = environment.post("SHP-2", status="delayed")
    if lane == "routing":
        environment.forward_all()
    suspended = environment.start(lane, "suspended", first)
    suspended.await_suspended()
    environment.end_leases(lane)
    other = environment.start(lane, "other", second)
    other.await_suspended()
    before = redis_contents(environment)
    resume_and_finish(environment, suspended)
    changed = changes(before, redis_contents(environment))
    assert changed in ({}, {"stats": {"refused_stale": 1}})
    other.signal(signal.SIGCONT)
    if lane == "lookup":
        environment.start("routing", "routing")
    await_true(lambda: environment.state(id) == "done", 60, "the other worker to finish")
    environment.assert_one_effect(id)
