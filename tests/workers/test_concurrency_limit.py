"""The concurrency limit: it adapts to an overloaded service and ignores random failures."""

from __future__ import annotations

import threading

import pytest

from workers.concurrency_limit import REST_SECONDS, ROUND_SECONDS, ConcurrencyLimit


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run_rounds(
    limit: ConcurrencyLimit, clock: Clock, *, good: int, pushed: int, rounds: int = 1
) -> None:
    """Rounds of calls, each followed by the time that a slot rests."""
    for _ in range(rounds):
        for _ in range(good):
            limit.succeeded()
        for _ in range(pushed):
            limit.pushed_back()
        clock.now += ROUND_SECONDS
        (limit.pushed_back if pushed > good else limit.succeeded)()
        clock.now += REST_SECONDS


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_at_the_start_all_slots_are_allowed(clock: Clock) -> None:
    assert ConcurrencyLimit(64, clock).allowed == 64


def test_every_round_of_overload_lowers_the_limit_to_one_at_least(
    clock: Clock,
) -> None:
    limit = ConcurrencyLimit(64, clock)
    seen = []
    for _ in range(20):
        run_rounds(limit, clock, good=0, pushed=10)
        seen.append(limit.allowed)
    assert seen[0] < 64
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == 1


def test_random_failures_do_not_lower_the_limit(clock: Clock) -> None:
    limit = ConcurrencyLimit(64, clock)
    run_rounds(limit, clock, good=70, pushed=30, rounds=10)
    assert limit.allowed == 64


def test_the_limit_rises_back_to_the_slots_and_no_further(clock: Clock) -> None:
    limit = ConcurrencyLimit(8, clock)
    run_rounds(limit, clock, good=0, pushed=10, rounds=20)
    assert limit.allowed == 1
    run_rounds(limit, clock, good=10, pushed=0)
    assert limit.allowed == 2
    run_rounds(limit, clock, good=10, pushed=0, rounds=50)
    assert limit.allowed == 8


def test_calls_pushed_back_in_one_round_lower_the_limit_once(clock: Clock) -> None:
    limit = ConcurrencyLimit(64, clock)
    clock.now += ROUND_SECONDS
    for _ in range(64):
        limit.pushed_back()
    clock.now += REST_SECONDS
    assert limit.allowed == int(64 * 0.7)


def test_a_slot_whose_call_was_pushed_back_rests(clock: Clock) -> None:
    limit = ConcurrencyLimit(8, clock)
    limit.pushed_back()
    limit.pushed_back()
    assert limit.allowed == 6
    clock.now += REST_SECONDS
    assert limit.allowed == 8


def test_however_many_slots_rest_one_call_is_allowed(clock: Clock) -> None:
    limit = ConcurrencyLimit(4, clock)
    for _ in range(50):
        limit.pushed_back()
    assert limit.allowed == 1


def test_with_many_threads_the_limit_stays_between_one_and_the_slots() -> None:
    limit = ConcurrencyLimit(16)
    wrong: list[int] = []

    def hammer(number: int) -> None:
        for i in range(500):
            (limit.succeeded if (i + number) % 3 else limit.pushed_back)()
            if not 1 <= limit.allowed <= 16:
                wrong.append(limit.allowed)

    threads = [threading.Thread(target=hammer, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
