"""Runs of a path: uninterrupted, or with one of its processes killed at a crash point."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from tests.crashpoints.crash_point import CrashPoint
from tests.crashpoints.end_state import end_state
from tests.crashpoints.environment import EVT, Checkpoint, Environment, ProcessRun
from tests.crashpoints.paths import SCHEDULER, EventPath
from tests.crashpoints.processes import ProcessSpec
from tests.support.store_audit import audit
from tests.support.store_snapshot import dump

Document = dict[str, Any]


@dataclass(frozen=True)
class UninterruptedRun:
    """processes: the run of each process, by the number of its action. before: a checkpoint before
    each target. calls: successful calls of the Routing Service, by key."""

    processes: dict[int, ProcessRun]
    before: dict[int, Checkpoint]
    end: Document
    calls: Counter[str]


@dataclass(frozen=True)
class CrashedRun:
    """target: the run of the process with the crash point. lost: 1 if the crash lost an answer of
    the Routing Service before it was recorded anywhere. That call has to be made again, under the
    same key and so with the same route."""

    target: ProcessRun
    end: Document
    calls: Counter[str]
    lost: int


def run_uninterrupted(environment: Environment, path: EventPath) -> UninterruptedRun:
    environment.reset()
    processes, before = {}, {}
    for number, action in enumerate(path.actions):
        if number in path.targets:
            before[number] = environment.checkpoint()
        run = _do(environment, action)
        if run is not None:
            processes[number] = run
    audit(dump(environment.store))
    return UninterruptedRun(
        processes, before, end_state(environment), environment.successful_calls()
    )


def run_with_crash(
    environment: Environment,
    path: EventPath,
    uninterrupted: UninterruptedRun,
    target: int,
    crash_point: CrashPoint,
    lost_host: bool,
) -> CrashedRun:
    """From the checkpoint before the target to the end of the path.

    lost_host: the killed process does not start again. Its locks expire, and a process on another
    host takes over.
    """
    environment.restore(uninterrupted.before[target])
    spec = path.actions[target]
    assert isinstance(spec, ProcessSpec)
    run, lost = environment.run(spec, crash_point), 0
    if run.killed:
        audit(dump(environment.store))
        lost = _lost_answers(environment)
        if lost_host:
            environment.advance_hours(1)
            environment.run(SCHEDULER)
            spec = replace(spec, host="another")
        environment.run(spec)
    for action in path.actions[target + 1 :]:
        _do(environment, action)
    audit(dump(environment.store))
    return CrashedRun(run, end_state(environment), environment.successful_calls(), lost)


def _do(environment: Environment, action: Any) -> ProcessRun | None:
    if isinstance(action, ProcessSpec):
        return environment.run(action)
    action(environment)
    return None


def _lost_answers(environment: Environment) -> int:
    """1 if the Routing Service answered and neither the shipment nor Redis has the answer."""
    recorded = environment.database["shipments"].find_one({"route.event_id": EVT})
    carried = environment.store.hexists(environment.queue.keys.event(EVT), "route")
    return int(EVT in environment.successful_calls() and not recorded and not carried)
