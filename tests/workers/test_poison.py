"""Events that kill their worker process are dead-lettered as poison; all others are done."""

from __future__ import annotations

import pytest

from scheduler.keys import LaneName
from tests.support.servers import await_true
from tests.support.worker_environment import KEYS, MAX_CRASHES, SLOTS, WorkerEnvironment
from tests.support.worker_process import KilledByEvent

POISON = "SHP-P"  # in the body of each event that kills its worker, as part of its shipment's id
# Where the other events are when the worker is killed.
HALF_DONE = {"lookup": "Shipments.apply", "routing": "RoutingClient.route"}


@pytest.mark.parametrize(
    ("lane", "same_name"),
    [("lookup", True), ("routing", False)],
    ids=["lookup, reclaimed", "routing, leases end"],
)
def test_an_event_that_kills_its_worker_is_dead_lettered_and_63_concurrent_events_are_done(
    environment: WorkerEnvironment, lane: LaneName, same_name: bool
) -> None:
    [poison] = environment.post(POISON)
    others = environment.post(*(f"SHP-N{n}" for n in range(SLOTS - 1)))
    if lane == "routing":
        environment.forward_all()
    all_processed = environment.supervise(
        lane, KilledByEvent(POISON.encode(), HALF_DONE[lane], SLOTS), same_name
    )
    if lane == "lookup":
        environment.start("routing", "routing")
    await_true(all_processed, 120, "an empty backlog")
    assert environment.state(poison) == "dead poison"
    assert environment.kills == MAX_CRASHES
    for id in others:
        assert environment.state(id) == "done"
        environment.assert_one_effect(id)


def test_several_poison_events_in_both_lanes_at_once_cost_no_other_event_anything(
    environment: WorkerEnvironment,
) -> None:
    late = environment.post(f"{POISON}-late-0", f"{POISON}-late-1")
    environment.forward_all()
    early = environment.post(f"{POISON}-early-0", f"{POISON}-early-1", f"{POISON}-early-2")
    others = environment.post(*(f"SHP-N{n}" for n in range(40)))
    marker = POISON.encode()
    lanes = [
        environment.supervise("lookup", KilledByEvent(marker, HALF_DONE["lookup"], 43), True),
        environment.supervise("routing", KilledByEvent(marker, HALF_DONE["routing"], 10), True),
    ]

    def all_processed() -> bool:
        empty = [supervise() for supervise in lanes]  # call each: it restarts its worker
        return all(empty)

    await_true(all_processed, 120, "an empty backlog")
    assert {environment.state(id) for id in late + early} == {"dead poison"}
    assert environment.redis.zcard(KEYS.dead) == 5
    for id in others:
        assert environment.state(id) == "done"
        environment.assert_one_effect(id)
