"""A process that is killed at any of its crash points does not change the end of an event's path.

The crash points are not listed anywhere: a process runs with crash point 1, 2, … until it finishes
without reaching one. ``paths.py`` states the end of each path, and every run with a crash must end
like the uninterrupted one, but for what ``end_state.py`` lists.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from tests.crashpoints.crash_point import CrashPoint, crash_points
from tests.crashpoints.end_state import differences
from tests.crashpoints.environment import EVT, Environment
from tests.crashpoints.path_runs import (
    CrashedRun,
    UninterruptedRun,
    run_uninterrupted,
    run_with_crash,
)
from tests.crashpoints.paths import PATHS

TARGETS = [
    pytest.param(name, target, id=f"{name}: {path.actions[target]} (action {target})")
    for name, path in PATHS.items()
    for target in path.targets
]


@cache
def uninterrupted_run(environment: Environment, name: str) -> UninterruptedRun:
    return run_uninterrupted(environment, PATHS[name])


def end_differences(crashed: CrashedRun, uninterrupted: UninterruptedRun) -> list[str]:
    found = differences(uninterrupted.end, crashed.end)
    calls = uninterrupted.calls + Counter({EVT: crashed.lost})
    if crashed.calls != calls:
        found.append(f"calls: {crashed.calls}, not {calls}")
    return found


def kill_at_every_crash_point(
    environment: Environment, name: str, target: int, lost_host: bool = False
) -> None:
    path, uninterrupted = PATHS[name], uninterrupted_run(environment, name)
    messages = uninterrupted.processes[target].messages
    wrong: dict[str, list[str]] = {}
    for crash_point in crash_points():
        crashed = run_with_crash(environment, path, uninterrupted, target, crash_point, lost_host)
        if not crashed.target.killed:
            break
        # Every run is the same up to its crash, so that no crash point is left out or repeated.
        assert crashed.target.messages == messages[: crash_point.message]
        if found := end_differences(crashed, uninterrupted):
            wrong[f"{crash_point}, {crashed.target.messages[-1]}"] = found
    # The first point that was not reached is the one behind the last message.
    beyond_last = CrashPoint(len(messages) + 1, after=False)
    assert (crashed.target.messages, crash_point) == (messages, beyond_last)
    assert not wrong, "\n".join(
        f"killed {point}:\n    " + "\n    ".join(found) for point, found in wrong.items()
    )


@pytest.mark.parametrize("name", PATHS)
def test_an_uninterrupted_run_ends_as_stated(environment: Environment, name: str) -> None:
    path, run = PATHS[name], uninterrupted_run(environment, name)
    states = {
        key.removeprefix("event:"): event["state"]
        for key, event in run.end.items()
        if key.startswith("event:")
    }
    assert states == path.redis
    entry = run.end["mongo events"].get(EVT, {})
    assert entry.get("outcome") == path.outcome
    assert not entry or "applied_at" in entry  # whether or not there is a route
    shipment = list(run.end["mongo shipments"].values())[-1]
    assert (shipment["status"], shipment["events_applied"]) == (path.status, path.applied)
    assert run.calls == Counter({EVT: path.calls})


@pytest.mark.parametrize(("name", "target"), TARGETS)
def test_a_kill_at_any_crash_point_does_not_change_the_end(
    environment: Environment, name: str, target: int
) -> None:
    kill_at_every_crash_point(environment, name, target)


@pytest.mark.parametrize("target", PATHS["routed"].targets)
def test_a_host_lost_at_any_crash_point_does_not_change_the_end(
    environment: Environment, target: int
) -> None:
    kill_at_every_crash_point(environment, "routed", target, lost_host=True)
