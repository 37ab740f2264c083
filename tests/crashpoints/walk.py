"""Going a path to its end, with one of its processes killed on the way, or none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from tests.crashpoints.crash_point import Death
from tests.crashpoints.end_state import end_state
from tests.crashpoints.environment import EVT, Checkpoint, Lived, World
from tests.crashpoints.paths import SCHEDULER, EventPath
from tests.crashpoints.processes import Life
from tests.support.store_audit import audit
from tests.support.store_snapshot import dump

Document = dict[str, Any]


@dataclass(frozen=True)
class Whole:
    """A path with no death on it. lives: how the victims' went, by the number of the act; before:
    the world before each. end: the end state. calls: successful ones of the Routing Service."""

    lives: dict[int, Lived]
    before: dict[int, Checkpoint]
    end: Document
    calls: Counter[str]


@dataclass(frozen=True)
class Torn:
    """The same with a death. victim: how that life went. lost: 1 if an answer of the Routing
    Service died with the process before it was recorded anywhere: that call has to be made again,
    under the same key and so with the same route."""

    victim: Lived
    end: Document
    calls: Counter[str]
    lost: int


def walk(world: World, path: EventPath) -> Whole:
    """Undisturbed, from the beginning."""
    world.begin()
    lives, before = {}, {}
    for number, act in enumerate(path.acts):
        if number in path.victims:
            before[number] = world.checkpoint()
        lived = _act(world, act)
        if lived is not None:
            lives[number] = lived
    audit(dump(world.store))
    return Whole(lives, before, end_state(world), world.routed())


def walk_with(
    world: World, path: EventPath, whole: Whole, victim: int, death: Death, lost_host: bool
) -> Torn:
    """From the start of the life that ends so. lost_host: the process is not started again; its
    locks expire, and one on another host takes over."""
    world.resume(whole.before[victim])
    act = path.acts[victim]
    assert isinstance(act, Life)
    lived, lost = world.lead(act, death), 0
    if lived.killed:
        audit(dump(world.store))
        lost = _answers_lost(world)
        if lost_host:
            world.hours_pass(1)
            world.lead(SCHEDULER)
            act = replace(act, host="another")
        world.lead(act)
    for act in path.acts[victim + 1 :]:
        _act(world, act)
    audit(dump(world.store))
    return Torn(lived, end_state(world), world.routed(), lost)


def _act(world: World, act: Any) -> Lived | None:
    if isinstance(act, Life):
        return world.lead(act)
    act(world)
    return None


def _answers_lost(world: World) -> int:
    """Whether the Routing Service answered and neither shipment nor Redis has it."""
    recorded = world.database["shipments"].find_one({"route.event_id": EVT})
    carried = world.store.hexists(world.queue.keys.event(EVT), "route")
    return int(EVT in world.routed() and not recorded and not carried)
