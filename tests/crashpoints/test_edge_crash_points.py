"""An edge process that is killed at any of its crash points costs a courier at most a resend: an
event that was answered with 2xx is stored, and the end is the same as without the kill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scheduler.keys import Keys
from tests.crashpoints.courier import BODY, ID, Delivery, deliver
from tests.crashpoints.crash_point import CrashPoint, crash_points
from tests.crashpoints.end_state import differences, end_state
from tests.crashpoints.environment import Environment
from tests.support.store_audit import audit
from tests.support.store_snapshot import dump

Document = dict[str, Any]


def nothing(environment: Environment) -> None:
    pass


def deliver_once(environment: Environment) -> None:
    assert deliver(environment).statuses == [202]


def forget_scripts(environment: Environment) -> None:
    environment.load_scripts(False)


CASES = [
    pytest.param(nothing, 202, id="a new event"),
    pytest.param(deliver_once, 200, id="a duplicate"),
    pytest.param(forget_scripts, 202, id="a new event, Redis without scripts"),
]


def with_resends(end: Document, count: int) -> Document:
    """The end after so many resends: a post that Redis counted and the edge did not answer is sent
    again, and then counted as a duplicate (and under the secret that signed it)."""
    stats = dict(end["stats"])
    for name in ("duplicates", "secret:bench:BENCH_SECRET"):
        stats[name] = str(int(stats.get(name, 0)) + count)
    return {**end, "stats": {name: value for name, value in stats.items() if value != "0"}}


def run(
    environment: Environment,
    prepare: Callable[[Environment], None],
    crash_point: CrashPoint | None = None,
) -> tuple[Delivery, Document]:
    environment.reset()
    prepare(environment)
    delivery = deliver(environment, crash_point)
    audit(dump(environment.store))
    return delivery, end_state(environment)


@pytest.mark.parametrize(("prepare", "status"), CASES)
def test_an_edge_killed_at_any_crash_point_costs_at_most_a_resend(
    environment: Environment, prepare: Callable[[Environment], None], status: int
) -> None:
    uninterrupted, end = run(environment, prepare)
    assert uninterrupted.statuses == [status]
    assert environment.store.get(Keys().body(ID)) == BODY.decode()
    messages = uninterrupted.first.messages
    wrong: dict[str, Any] = {}
    for crash_point in crash_points():
        crashed, found = run(environment, prepare, crash_point)
        if not crashed.first.killed:
            break
        assert crashed.first.messages == messages[: crash_point.message]
        # A reply is never false; what is stored may lack its reply.
        first, resends = crashed.statuses[0], crashed.statuses[1:]
        problems = [] if first in (None, status) else [f"status {first}"]
        if first is not None and not (crashed.stored and crashed.counted):
            problems.append(f"status {first}, and nothing is stored")
        if first is None and resends != [200 if crashed.stored else 202]:
            problems.append(f"statuses {resends} of the resends, stored: {crashed.stored}")
        resent = crashed.counted and first is None
        problems += differences(with_resends(end, int(resent)), found)
        if problems:
            wrong[f"{crash_point}, {crashed.first.messages[-1]}"] = problems
    beyond_last = CrashPoint(len(messages) + 1, after=False)
    assert (crashed.first.messages, crash_point) == (messages, beyond_last)
    assert not wrong
