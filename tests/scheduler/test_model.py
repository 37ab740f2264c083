"""The queue beside its model: whatever is said to both, in whatever order, they agree.

    make test ARGS="tests/scheduler/test_model.py --hypothesis-profile=thorough"
"""

from __future__ import annotations

from functools import partial

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.scheduler.beside import Beside
from tests.scheduler.beside_a_hand import BesideAHand
from tests.servers import RedisServer

CLEAN, HAND = (30, 60), (20, 60)  # examples, steps each


def budget(examples: int, steps: int) -> settings:
    """The same examples each time, or as many as the profile says, anew each time."""
    current = settings()
    thorough = settings.get_current_profile_name() == "thorough"
    return settings(
        current, deadline=None, suppress_health_check=list(HealthCheck),
        derandomize=not thorough, database=None, stateful_step_count=steps,
        max_examples=current.max_examples if thorough else examples)


def test_the_queue_does_what_its_model_does(hasty_server: RedisServer) -> None:
    run_state_machine_as_test(
        partial(Beside, hasty_server),  # type: ignore[arg-type]
        settings=budget(*CLEAN))


def test_what_somebodys_hand_does_to_the_store_is_survived_as_the_model_says(
    hasty_server: RedisServer
) -> None:
    run_state_machine_as_test(
        partial(BesideAHand, hasty_server),  # type: ignore[arg-type]
        settings=budget(*HAND))
