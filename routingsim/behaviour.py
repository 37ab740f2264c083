"""How a call ends, decided on its arrival.

Invariant: ``decide`` is pure. The same behaviour, key, number of the call and random source give
the same decision, so that a run can be repeated in whatever order its calls arrive.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from random import Random

REFUSED_STATUS = 503
DEFAULT_LATENCY_MS = 2000


class Outcome(StrEnum):
    """How a call ends."""

    ROUTE = "route"
    FAIL = "fail"  # an HTTP error after the latency
    REFUSE = "refuse"  # an HTTP error at once: outage or over capacity
    HANG = "hang"  # no answer at all
    RESET = "reset"  # TCP RST after the latency
    GARBAGE = "garbage"  # after the latency, bytes that are not HTTP


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Settings of the service; ``behaviour_document`` has the range of each."""

    latency_ms: int = DEFAULT_LATENCY_MS
    jitter_ms: int = 0  # added to the latency, uniform from 0 to this
    fail_ratio: float = 0.0
    fail_status: int = 500
    retry_after: int | None = None  # seconds, sent with fail_status
    fail_first: int = 0
    fail_first_ratio: float = 1.0
    hang_ratio: float = 0.0
    reset_ratio: float = 0.0
    garbage_ratio: float = 0.0
    outage: bool = False
    capacity: int | None = None  # calls held at once; None: no limit
    seed: int = 0


@dataclass(frozen=True, slots=True)
class CallDecision:
    """delay_seconds: from the call's arrival to its outcome. status, reason, retry_after: of an
    HTTP error."""

    outcome: Outcome
    delay_seconds: float = 0.0
    status: int = 200
    reason: str = ""
    retry_after: int | None = None


def call_rng(behaviour: Behaviour, key: str, nth: int) -> Random:
    """The random source of one call, so that the order of arrivals does not matter."""
    return Random(f"{behaviour.seed}/{nth}/{key}")


def decide(behaviour: Behaviour, key: str, nth: int, in_flight: int, rng: Random) -> CallDecision:
    """Decide the ``nth`` call (from 1) of ``key`` while ``in_flight`` other calls are held.

    ``fail_first`` comes before the ratios. These share one draw, in the order hang, reset, garbage,
    fail: each is exact while their sum is at most 1; beyond that the last ones are shortened.
    """
    if behaviour.outage:
        return CallDecision(Outcome.REFUSE, status=REFUSED_STATUS, reason="outage")
    if behaviour.capacity is not None and in_flight >= behaviour.capacity:
        return CallDecision(Outcome.REFUSE, status=REFUSED_STATUS, reason="capacity")
    delay_seconds = (behaviour.latency_ms + rng.uniform(0, behaviour.jitter_ms)) / 1000
    draw = rng.random()
    if nth <= behaviour.fail_first and is_chosen(behaviour, key):
        return _failure(behaviour, delay_seconds, "fail_first")
    for outcome, ratio in (
        (Outcome.HANG, behaviour.hang_ratio),
        (Outcome.RESET, behaviour.reset_ratio),
        (Outcome.GARBAGE, behaviour.garbage_ratio),
    ):
        if draw < ratio:
            return CallDecision(outcome, delay_seconds)
        draw -= ratio
    if draw < behaviour.fail_ratio:
        return _failure(behaviour, delay_seconds, "fail_ratio")
    return CallDecision(Outcome.ROUTE, delay_seconds)


def is_chosen(behaviour: Behaviour, key: str) -> bool:
    """Whether ``fail_first`` applies to this key; depends on key and seed only."""
    digest = hashlib.sha256(f"{behaviour.seed}/{key}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 < behaviour.fail_first_ratio


def _failure(behaviour: Behaviour, delay_seconds: float, reason: str) -> CallDecision:
    return CallDecision(
        Outcome.FAIL, delay_seconds, behaviour.fail_status, reason, behaviour.retry_after
    )
