"""An edge process that is killed before or after any of its steps costs a courier a resend at most:
what was told 2xx is there, and the end is the same as without the kill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scheduler.keys import Keys
from tests.crashpoints.courier import BODY, ID, Delivery, deliver
from tests.crashpoints.crash_point import Death, deaths
from tests.crashpoints.end_state import differences, end_state
from tests.crashpoints.environment import World
from tests.support.store_audit import audit
from tests.support.store_snapshot import dump

Document = dict[str, Any]


def nothing_is_known(world: World) -> None:
    pass


def the_event_is_known(world: World) -> None:
    assert deliver(world).statuses == [202]


def redis_knows_no_script(world: World) -> None:
    world.scripts(known=False)


CASES = [
    pytest.param(nothing_is_known, 202, id="a new event"),
    pytest.param(the_event_is_known, 200, id="a duplicate"),
    pytest.param(redis_knows_no_script, 202, id="a new event, Redis without scripts"),
]


def with_resends(end: Document, count: int) -> Document:
    """What may differ here: a post that Redis counted although the courier heard nothing is made
    again, and then counted as a duplicate (and under the secret that signed it)."""
    stats = dict(end["stats"])
    for name in ("duplicates", "secret:bench:BENCH_SECRET"):
        stats[name] = str(int(stats.get(name, 0)) + count)
    return {**end, "stats": {name: value for name, value in stats.items() if value != "0"}}


def arranged(
    world: World, before: Callable[[World], None], death: Death | None = None
) -> tuple[Delivery, Document]:
    world.begin()
    before(world)
    delivery = deliver(world, death)
    audit(dump(world.store))
    return delivery, end_state(world)


@pytest.mark.parametrize(("before", "status"), CASES)
def test_an_edge_killed_between_any_two_steps_costs_a_resend_at_most(
    world: World, before: Callable[[World], None], status: int
) -> None:
    whole, end = arranged(world, before)
    assert whole.statuses == [status]
    assert world.store.get(Keys().body(ID)) == BODY.decode()
    wrong: dict[str, Any] = {}
    for death in deaths():
        torn, found = arranged(world, before, death)
        if not torn.first.killed:
            break
        assert torn.first.steps == whole.first.steps[: death.step]
        told = torn.statuses[0]
        # Nothing is said that is not so; and what is so need not have been said.
        problems = [] if told in (None, status) else [f"told {told}"]
        if told is not None and not (torn.kept and torn.counted):
            problems.append(f"told {told}, and nothing is kept")
        if told is None and torn.statuses[1:] != [200 if torn.kept else 202]:
            problems.append(f"told {torn.statuses[1:]} at the resend, kept: {torn.kept}")
        resent = torn.counted and told is None
        problems += differences(with_resends(end, int(resent)), found)
        if problems:
            wrong[f"{death}, {torn.first.steps[-1]}"] = problems
    steps = whole.first.steps
    assert (torn.first.steps, death) == (steps, Death(len(steps) + 1, after=False))
    assert not wrong
