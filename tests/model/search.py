"""What the model-based tests of tests/model and tests/corruption share."""

from __future__ import annotations

from functools import partial

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from scheduler.keys import LANES
from tests.model.model import MAX_CRASHES
from tests.model.state_machine import QueueStateMachine
from tests.support.servers import RedisServer


def search(
    machine: type[QueueStateMachine], server: RedisServer, *, examples: int, steps: int
) -> None:
    """Random sequences of rules: the same ones each time, or with the profile thorough new ones."""
    current = settings()
    thorough = settings.get_current_profile_name() == "thorough"
    run_state_machine_as_test(
        partial(machine, server),  # type: ignore[arg-type]
        settings=settings(
            current,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=not thorough,
            database=None,
            stateful_step_count=steps,
            max_examples=current.max_examples if thorough else examples,
        ),
    )


def run_corner_cases(queue: QueueStateMachine) -> None:
    """The sequences that a search of few examples reaches too rarely."""
    one, two = ("w1", "b1"), ("w2", "b1")
    for lane in LANES:
        for crashes in (2, MAX_CRASHES - 1):
            for reserves in (
                [(one, n, quarantined, 0) for n in (1, 6) for quarantined in (0, 1)],
                [(one, 1, 1, 1), (two, 2, 1, 1), (one, 2, 1, 1), (two, 1, 1, 0)],
                [(one, 6, 1, 1), (two, 1, 0, 1), (two, 6, 1, 0)],
                [(one, 5, 1, 0)],
            ):
                queue.redis_is_emptied(True)
                queue.quarantine_events(lane, crashes, 3, 6, reserves)
    queue.redis_is_emptied(True)
    for done in (1, 2, 3):  # a measured drain rate gives a full backlog its Retry-After
        queue.drain_rate_is_measured(0, done)
        queue.accept_with_room(f"b:{done}", "d1", (0, 0), False)
        queue.accept_at_a_cap("c:0", "events", 0, True)
    queue.retry(0, False, 5)
    queue.process_wakes("scheduler")
    queue.retry(0, False, 30)  # due later than the first one, so it must not wake the scheduler
    queue.defer(0, False, 30, "", None)
