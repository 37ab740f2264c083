"""The decision about a call, which is pure, without a service."""

from __future__ import annotations

from random import Random

import pytest

from routingsim.behaviour import Behaviour, CallDecision, Outcome, call_rng, decide, is_chosen

KEYS = [f"bench:evt_{number}" for number in range(4000)]


class Draws(Random):
    """A random source that always returns the same number."""

    def __init__(self, draw: float) -> None:
        super().__init__()
        self._draw = draw

    def random(self) -> float:
        return self._draw


def outcome(behaviour: Behaviour, key: str = "k", nth: int = 1, in_flight: int = 0) -> Outcome:
    return decide(behaviour, key, nth, in_flight, call_rng(behaviour, key, nth)).outcome


def test_a_call_is_routed_after_two_seconds_by_default() -> None:
    assert decide(Behaviour(), "k", 1, 0, Random(1)) == CallDecision(
        Outcome.ROUTE, delay_seconds=2.0
    )


def test_jitter_lengthens_the_latency_and_never_shortens_it() -> None:
    behaviour = Behaviour(latency_ms=100, jitter_ms=50)
    delays = [
        decide(behaviour, key, 1, 0, call_rng(behaviour, key, 1)).delay_seconds for key in KEYS
    ]
    assert 0.1 <= min(delays) < 0.105
    assert 0.145 < max(delays) <= 0.15


def test_an_outage_refuses_every_call_at_once_with_503() -> None:
    decision = decide(Behaviour(outage=True, fail_first=1), "k", 1, 0, Random(1))
    assert decision == CallDecision(Outcome.REFUSE, delay_seconds=0.0, status=503, reason="outage")


def test_capacity_refuses_the_call_beyond_it_at_once_with_503() -> None:
    behaviour = Behaviour(capacity=3)
    assert outcome(behaviour, in_flight=2) is Outcome.ROUTE
    decision = decide(behaviour, "k", 1, 3, Random(1))
    assert decision == CallDecision(
        Outcome.REFUSE, delay_seconds=0.0, status=503, reason="capacity"
    )


def test_the_first_calls_of_a_key_fail_after_the_latency_and_the_next_is_routed() -> None:
    behaviour = Behaviour(latency_ms=10, fail_first=2, fail_status=429, retry_after=7)
    failure = CallDecision(Outcome.FAIL, 0.01, 429, "fail_first", retry_after=7)
    decisions = [decide(behaviour, "k", nth, 0, call_rng(behaviour, "k", nth)) for nth in (1, 2, 3)]
    assert decisions == [failure, failure, CallDecision(Outcome.ROUTE, 0.01)]


def test_fail_first_applies_to_its_share_of_the_keys_and_always_the_same_ones() -> None:
    behaviour = Behaviour(fail_first=1, fail_first_ratio=0.3)
    failed = [key for key in KEYS if outcome(behaviour, key) is Outcome.FAIL]
    assert len(failed) / len(KEYS) == pytest.approx(0.3, abs=0.03)
    assert failed == [key for key in KEYS if is_chosen(behaviour, key)]


def test_another_seed_chooses_other_keys() -> None:
    chosen = [
        {key for key in KEYS if is_chosen(Behaviour(fail_first_ratio=0.5, seed=seed), key)}
        for seed in (1, 2)
    ]
    assert chosen[0] - chosen[1]
    assert chosen[1] - chosen[0]


def test_a_fail_first_ratio_of_0_chooses_no_key_and_of_1_every_key() -> None:
    assert not any(is_chosen(Behaviour(fail_first_ratio=0), key) for key in KEYS)
    assert all(is_chosen(Behaviour(fail_first_ratio=1), key) for key in KEYS)


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (0.0, Outcome.HANG),
        (0.0999, Outcome.HANG),
        (0.1, Outcome.RESET),
        (0.2999, Outcome.RESET),
        (0.3001, Outcome.GARBAGE),
        (0.5999, Outcome.GARBAGE),
        (0.6001, Outcome.FAIL),
        (0.8999, Outcome.FAIL),
        (0.9001, Outcome.ROUTE),
    ],
)
def test_each_kind_of_failure_has_its_own_share_of_one_draw(draw: float, expected: Outcome) -> None:
    behaviour = Behaviour(hang_ratio=0.1, reset_ratio=0.2, garbage_ratio=0.3, fail_ratio=0.3)
    assert decide(behaviour, "k", 1, 0, Draws(draw)).outcome is expected


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (Behaviour(fail_ratio=0.2), Outcome.FAIL),
        (Behaviour(hang_ratio=0.2), Outcome.HANG),
        (Behaviour(reset_ratio=0.2), Outcome.RESET),
        (Behaviour(garbage_ratio=0.2), Outcome.GARBAGE),
    ],
)
def test_a_ratio_is_the_share_of_calls_that_end_so(behaviour: Behaviour, expected: Outcome) -> None:
    share = sum(outcome(behaviour, key) is expected for key in KEYS) / len(KEYS)
    assert share == pytest.approx(0.2, abs=0.03)


def test_a_run_repeats_under_its_seed_whatever_the_order_of_its_calls() -> None:
    behaviour = Behaviour(fail_ratio=0.5, seed=9)
    forwards = {key: outcome(behaviour, key) for key in KEYS}
    assert {key: outcome(behaviour, key) for key in reversed(KEYS)} == forwards
    other_seed = Behaviour(fail_ratio=0.5, seed=10)
    assert {key: outcome(other_seed, key) for key in KEYS} != forwards


def test_a_key_that_failed_by_chance_may_be_routed_on_its_next_call() -> None:
    behaviour = Behaviour(fail_ratio=0.5)
    outcomes = {outcome(behaviour, "k", nth) for nth in range(1, 50)}
    assert outcomes == {Outcome.FAIL, Outcome.ROUTE}
