"""A process that is killed before or after any of its steps changes nothing of the end.

The steps are not listed anywhere: a life is repeated with the death at step 1, 2, … until a process
gets through alive. What each path ends in is written down once (``paths.py``), and each run with a
death must end in the same as the one without, but for what ``end_state.py`` names.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from tests.crashpoints.crash_point import Death, deaths
from tests.crashpoints.end_state import differences
from tests.crashpoints.environment import EVT, World
from tests.crashpoints.paths import PATHS
from tests.crashpoints.walk import Torn, Whole, walk, walk_with

VICTIMS = [
    pytest.param(name, victim, id=f"{name}: {path.acts[victim]} (act {victim})")
    for name, path in PATHS.items()
    for victim in path.victims
]


@cache
def undisturbed(world: World, name: str) -> Whole:
    return walk(world, PATHS[name])


def differs(torn: Torn, whole: Whole) -> list[str]:
    """In what a run with a death ended otherwise than the whole one, beyond what may differ."""
    found = differences(whole.end, torn.end)
    calls = whole.calls + Counter({EVT: torn.lost})
    if torn.calls != calls:
        found.append(f"calls: {torn.calls}, not {calls}")
    return found


def kill_at_every_step(world: World, name: str, victim: int, lost_host: bool = False) -> None:
    path, whole = PATHS[name], undisturbed(world, name)
    steps = whole.lives[victim].steps
    wrong: dict[str, list[str]] = {}
    for death in deaths():
        torn = walk_with(world, path, whole, victim, death, lost_host)
        if not torn.victim.killed:
            break
        # Each life is the same up to its death, so no step is left out and none is died at twice.
        assert torn.victim.steps == steps[: death.step]
        if found := differs(torn, whole):
            wrong[f"{death}, {torn.victim.steps[-1]}"] = found
    # The first to get through alive was to die behind the last step.
    assert (torn.victim.steps, death) == (steps, Death(len(steps) + 1, after=False))
    assert not wrong, "\n".join(
        f"killed {death}:\n    " + "\n    ".join(found) for death, found in wrong.items()
    )


@pytest.mark.parametrize("name", PATHS)
def test_an_undisturbed_run_ends_as_it_should(world: World, name: str) -> None:
    path, whole = PATHS[name], undisturbed(world, name)
    states = {
        key.removeprefix("event:"): event["state"]
        for key, event in whole.end.items()
        if key.startswith("event:")
    }
    assert states == path.redis
    entry = whole.end["mongo events"].get(EVT, {})
    assert entry.get("outcome") == path.outcome
    assert not entry or "applied_at" in entry  # whatever came of the route
    shipment = list(whole.end["mongo shipments"].values())[-1]
    assert (shipment["status"], shipment["events_applied"]) == (path.status, path.applied)
    assert whole.calls == Counter({EVT: path.calls})


@pytest.mark.parametrize(("name", "victim"), VICTIMS)
def test_a_kill_between_any_two_steps_changes_nothing_of_the_end(
    world: World, name: str, victim: int
) -> None:
    kill_at_every_step(world, name, victim)


@pytest.mark.parametrize("victim", PATHS["routed"].victims)
def test_a_host_lost_between_any_two_steps_changes_nothing_of_the_end(
    world: World, victim: int
) -> None:
    kill_at_every_step(world, "routed", victim, lost_host=True)
