"""The retry policy is pure, so its properties are tested for all numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.retry_policy import (
    RetryPolicy,
    unavailable_delay_seconds,
    unknown_shipment_delay_seconds,
)

seconds = st.floats(0.001, 86_400)
draws = st.floats(0, 1, exclude_max=True)
attempts = st.integers(0, 5000)

DEFAULT = RetryPolicy(
    floor_seconds=1, base_seconds=2, cap_seconds=900, max_attempts=12, max_age_seconds=86_400
)


@st.composite
def policies(draw: st.DrawFn) -> RetryPolicy:
    return RetryPolicy(
        floor_seconds=draw(seconds),
        base_seconds=draw(seconds),
        cap_seconds=draw(seconds),
        max_attempts=draw(st.integers(1, 1000)),
        max_age_seconds=draw(seconds),
    )


@given(policies(), attempts, seconds, draws)
def test_the_delay_is_the_floor_or_retry_after_plus_a_share_of_the_window(
    policy: RetryPolicy, attempt: int, retry_after: float, draw: float
) -> None:
    wait = policy.delay_seconds(attempt, retry_after, lambda: draw)
    least = max(policy.floor_seconds, retry_after)
    assert least <= wait <= least + policy.cap_seconds
    assert math.isfinite(wait)


@given(policies(), attempts, draws)
def test_the_window_doubles_up_to_the_cap(policy: RetryPolicy, attempt: int, draw: float) -> None:
    def window(number: int) -> float:
        return policy.delay_seconds(number, 0, lambda: 1.0) - policy.delay_seconds(
            number, 0, lambda: 0.0
        )

    assert window(attempt) <= window(attempt + 1) <= window(attempt) * 2 * (1 + 1e-6) + 1e-6


@pytest.mark.parametrize(
    ("attempt", "draw", "wait"),
    [(0, 0.0, 1), (0, 0.5, 2), (1, 0.5, 3), (3, 1.0, 17), (9, 1.0, 901), (5000, 1.0, 901)],
)
def test_the_published_formula_holds(attempt: int, draw: float, wait: float) -> None:
    assert DEFAULT.delay_seconds(attempt, 0, lambda: draw) == wait


def test_a_longer_retry_after_wins_over_the_floor_and_keeps_its_jitter() -> None:
    assert DEFAULT.delay_seconds(0, 30, lambda: 0.5) == 31
    assert DEFAULT.delay_seconds(0, 0.5, lambda: 0.5) == 2


@given(policies(), st.integers(1, 2000), st.floats(0, 1e6))
def test_an_event_is_not_retried_after_its_last_attempt_or_beyond_its_age(
    policy: RetryPolicy, failed: int, age: float
) -> None:
    if failed >= policy.max_attempts:
        assert policy.stop_reason(failed, age) == "attempts_exhausted"
    elif age > policy.max_age_seconds:
        assert policy.stop_reason(failed, age) == "too_old"
    else:
        assert policy.stop_reason(failed, age) is None


@given(attempts, seconds, draws)
def test_the_delay_for_an_unknown_shipment_is_at_most_a_tenth_above_the_longest(
    waits: int, longest: float, draw: float
) -> None:
    wait = unknown_shipment_delay_seconds(waits, longest, lambda: draw)
    assert 0 < wait <= longest * 1.1
    assert unknown_shipment_delay_seconds(waits + 1, longest, lambda: draw) >= wait


def test_the_delay_for_an_unknown_shipment_starts_at_a_second_and_doubles() -> None:
    waits = [unknown_shipment_delay_seconds(n, 60, lambda: 0.5) for n in range(8)]
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])


@given(draws, seconds, seconds)
def test_the_delay_while_a_store_is_unavailable_is_within_its_bounds(
    draw: float, least: float, spread: float
) -> None:
    assert least <= unavailable_delay_seconds(lambda: draw, least, spread) <= least + spread
