"""A worker that slept through its lease: it changes nothing any more, wherever it had stopped."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from scheduler.keys import LaneName
from tests.support.servers import await_true
from tests.support.store_snapshot import changes, dump
from tests.support.worker_environment import Scene
from tests.support.worker_process import RealWorker, StopsAt

NO_ROUTE = "in_transit"
# Where the worker stops, before the call or after it, and the status of its event.
LOOKUP = [
    (StopsAt("Shipments.find"), "delayed"),
    (StopsAt("Ledger.claim"), "delayed"),
    (StopsAt("Shipments.apply"), "delayed"),
    (StopsAt("Shipments.apply", after=True), "delayed"),
    (StopsAt("Queue.forward"), "delayed"),
    (StopsAt("Queue.forward", after=True), "delayed"),
    (StopsAt("Shipments.apply"), NO_ROUTE),
    (StopsAt("Ledger.close"), NO_ROUTE),
    (StopsAt("Queue.done"), NO_ROUTE),
]
ROUTING = [
    (StopsAt("Ledger.claim"), "delayed"),
    (StopsAt("RoutingClient.route"), "delayed"),
    (StopsAt("RoutingClient.route", after=True), "delayed"),
    (StopsAt("Ledger.close"), "delayed"),
    (StopsAt("Queue.done"), "delayed"),
]


def redis(scene: Scene) -> dict[str, Any]:
    """All of it; but who lives, who is to be woken, and how the calls went that were made."""
    return {
        key: content
        for key, content in dump(scene.redis).items()
        if key != "breaker" and not key.startswith(("gw:proc:", "wake:"))
    }


def stores(scene: Scene) -> dict[str, Any]:
    mongo = {
        f"{name} {document['_id']}": document
        for name in ("shipments", "orders", "events")
        for document in scene.mongo[name].find()
    }
    return redis(scene) | mongo


def wake_and_settle(scene: Scene, sleeper: RealWorker) -> None:
    """Until it has come to the end of what it was about."""
    scene.redis.delete("gw:proc:host/sleeper")
    sleeper.signal(signal.SIGCONT)
    alive = "gw:proc:host/sleeper"
    await_true(lambda: scene.redis.hget(alive, "busy") == "0", 30, "an idle worker")
    assert not sleeper.says("ERROR")
    sleeper.kill()


@pytest.mark.parametrize(
    ("lane", "stop", "status"),
    [("lookup", *where) for where in LOOKUP] + [("routing", *where) for where in ROUTING],
    ids=lambda value: (
        f"{value.place}{' after' * value.after}" if isinstance(value, StopsAt) else value
    ),
)
def test_a_paused_worker_whose_event_was_finished_by_another_changes_nothing_when_it_wakes(
    scene: Scene, lane: LaneName, stop: StopsAt, status: str
) -> None:
    [id] = scene.post("SHP-2", status=status)
    if lane == "routing":
        scene.forward_all()
    sleeper = scene.start(lane, "sleeper", stop)
    sleeper.await_stopped()
    scene.end_leases(lane)
    # Another event of the same shipment, so that what the sleeper has read is not true any more.
    later = scene.send("later", "SHP-2", status, "2026-11-23T05:30:00Z")
    if lane == "routing":
        scene.forward_all()
    others = [scene.start(lane, "other")]
    if lane == "lookup":
        others.append(scene.start("routing", "routing"))
    await_true(lambda: scene.state(id) == scene.state(later) == "done", 60, "the other to finish")
    for other in others:  # they hold nothing any more
        other.kill()
    before = stores(scene)
    wake_and_settle(scene, sleeper)
    changed = changes(before, stores(scene))
    assert changed in ({}, {"stats": {"refused_stale": 1}})
    found = scene.mongo["shipments"].find_one({"_id": "SHP-2"}) or {}
    assert (found["events_applied"], set(found["recent_events"])) == (2, {id, later})


@pytest.mark.parametrize(
    "pauses",
    [
        ("lookup", StopsAt("Ledger.claim"), StopsAt("Shipments.apply")),
        ("lookup", StopsAt("Shipments.apply"), StopsAt("Shipments.apply")),
        ("lookup", StopsAt("Shipments.apply", after=True), StopsAt("Ledger.claim")),
        ("routing", StopsAt("RoutingClient.route", after=True), StopsAt("RoutingClient.route")),
        ("routing", StopsAt("Ledger.close"), StopsAt("Ledger.close")),
    ],
    ids=lambda pauses: f"{pauses[1].place}-{pauses[2].place}",
)
def test_a_paused_worker_that_wakes_while_another_is_at_work_takes_nothing_from_it(
    scene: Scene, pauses: tuple[LaneName, StopsAt, StopsAt]
) -> None:
    """The one effect may be the sleeper's, where the other has not got so far: it is the same."""
    lane, first, second = pauses
    [id] = scene.post("SHP-2", status="delayed")
    if lane == "routing":
        scene.forward_all()
    sleeper = scene.start(lane, "sleeper", first)
    sleeper.await_stopped()
    scene.end_leases(lane)
    other = scene.start(lane, "other", second)
    other.await_stopped()
    before = redis(scene)
    wake_and_settle(scene, sleeper)
    changed = changes(before, redis(scene))
    assert changed in ({}, {"stats": {"refused_stale": 1}})
    other.signal(signal.SIGCONT)
    if lane == "lookup":
        scene.start("routing", "routing")
    await_true(lambda: scene.state(id) == "done", 60, "the other to finish")
    scene.assert_one_effect(id)
