"""An event that kills the worker process: it is dead as poison, and every neighbour is done."""

from __future__ import annotations

import pytest

from scheduler.keys import LaneName
from tests.support.servers import await_true
from tests.support.worker_environment import KEYS, MAX_CRASHES, SLOTS, Scene
from tests.support.worker_process import DiesOf

POISON = "SHP-P"  # shipments whose events kill; their names are in the bodies
HALF_DONE = {"lookup": "Shipments.apply", "routing": "RoutingClient.route"}


@pytest.mark.parametrize(
    ("lane", "returns"),
    [("lookup", True), ("routing", False)],
    ids=["lookup, reclaimed", "routing, leases end"],
)
def test_an_event_that_kills_its_worker_is_dead_as_poison_and_its_63_neighbours_are_done(
    scene: Scene, lane: LaneName, returns: bool
) -> None:
    [poison] = scene.post(POISON)
    neighbours = scene.post(*(f"SHP-N{n}" for n in range(SLOTS - 1)))
    if lane == "routing":
        scene.forward_all()
    nothing_left = scene.keep(lane, DiesOf(POISON.encode(), HALF_DONE[lane], SLOTS), returns)
    if lane == "lookup":
        scene.start("routing", "routing")
    await_true(nothing_left, 120, "the backlog to be worked off")
    assert scene.state(poison) == "dead poison"
    assert scene.deaths == MAX_CRASHES
    for id in neighbours:
        assert scene.state(id) == "done"
        scene.assert_one_effect(id)


def test_several_poisonous_events_in_both_lanes_at_once_cost_no_other_event_anything(
    scene: Scene,
) -> None:
    late = scene.post(f"{POISON}-late-0", f"{POISON}-late-1")
    scene.forward_all()
    early = scene.post(f"{POISON}-early-0", f"{POISON}-early-1", f"{POISON}-early-2")
    neighbours = scene.post(*(f"SHP-N{n}" for n in range(40)))
    marker = POISON.encode()
    lanes = [
        scene.keep("lookup", DiesOf(marker, HALF_DONE["lookup"], 43), True),
        scene.keep("routing", DiesOf(marker, HALF_DONE["routing"], 10), True),
    ]

    def nothing_left() -> bool:
        looks = [look() for look in lanes]  # each of them, for each keeps its worker alive
        return all(looks)

    await_true(nothing_left, 120, "the backlog to be worked off")
    assert {scene.state(id) for id in late + early} == {"dead poison"}
    assert scene.redis.zcard(KEYS.dead) == 5
    for id in neighbours:
        assert scene.state(id) == "done"
        scene.assert_one_effect(id)
