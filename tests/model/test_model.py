"""The queue beside its model: whatever is said to both, in whatever order, they agree.

make test ARGS="tests/model/test_model.py --hypothesis-profile=thorough"
"""

from __future__ import annotations

from functools import partial

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from scheduler.constants import QUARANTINE
from scheduler.keys import LANES
from tests.corruption.state_machine import BesideAHand
from tests.model.model import MAX_CRASHES
from tests.model.state_machine import Beside
from tests.support.servers import RedisServer

CLEAN, HAND = (30, 60), (20, 60)  # examples, steps each


def budget(examples: int, steps: int) -> settings:
    """The same examples each time, or as many as the profile says, anew each time."""
    current = settings()
    thorough = settings.get_current_profile_name() == "thorough"
    return settings(
        current,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=not thorough,
        database=None,
        stateful_step_count=steps,
        max_examples=current.max_examples if thorough else examples,
    )


def corners(queue: Beside) -> None:
    """What chance reaches too rarely for the few examples of every day."""
    one, two = ("w1", "b1"), ("w2", "b1")
    for lane in LANES:
        for crashes in (2, MAX_CRASHES - 1):
            for asks in (
                [(one, n, suspects, 0) for n in (1, 6) for suspects in (0, 1)],
                [(one, 1, 1, 1), (two, 2, 1, 1), (one, 2, 1, 1), (two, 1, 1, 0)],
                [(one, 6, 1, 1), (two, 1, 0, 1), (two, 6, 1, 0)],
                [(one, 5, 1, 0)],
            ):
                queue.operators_empty_redis(True)
                queue.suspects(lane, crashes, 3, 6, asks)
    queue.operators_empty_redis(True)
    for done in (1, 2, 3):  # a measured drain tells when to come again
        queue.a_drain_is_measured(0, done)
        queue.accept_with_room(f"b:{done}", "d1", (0, 0), False)
        queue.accept_at_a_cap("c:0", "events", 0, True)
    queue.retry(0, False, 5)
    queue.somebody_wakes("scheduler")
    queue.retry(0, False, 30)  # a later one wakes nobody
    queue.defer(0, False, 30, "", None)


def test_the_queue_does_what_its_model_does_in_corners(hasty_server: RedisServer) -> None:
    queue = Beside(hasty_server)
    corners(queue)
    queue.teardown()


def test_a_hand_is_survived_in_corners(hasty_server: RedisServer) -> None:
    queue = BesideAHand(hasty_server)
    corners(queue)
    for lane in LANES:
        for state in ("ready", "locked", "retry", "dead", "done"):
            for source in ("a", QUARANTINE):
                for id in sorted(id for id, x in queue.model.events.items() if x.state == state):
                    queue.a_hand_repeats_an_id(id, lane, source)
                    queue.a_hand_adds_to_a_set(id, lane, "reclaim")
                    queue.a_hand_adds_to_a_set(id, lane, "promote")
                    break
    queue.teardown()


def test_the_queue_does_what_its_model_does(hasty_server: RedisServer) -> None:
    run_state_machine_as_test(
        partial(Beside, hasty_server),  # type: ignore[arg-type]
        settings=budget(*CLEAN),
    )


def test_what_somebodys_hand_does_to_the_store_is_survived_as_the_model_says(
    hasty_server: RedisServer,
) -> None:
    run_state_machine_as_test(
        partial(BesideAHand, hasty_server),  # type: ignore[arg-type]
        settings=budget(*HAND),
    )
