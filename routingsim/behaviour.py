"""What becomes of a call, decided on its arrival.

Invariant: ``decide`` is pure. The same behaviour, key, count of the call and random source give
the same decision, so a run can be repeated whatever order its calls arrive in.
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
    """The script of the service; ``behaviour_document`` has the range of each value."""

    latency_ms: int = DEFAULT_LATENCY_MS
    jitter_ms: int = 0  # added to the latency, evenly from 0 to this
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
class Decision:
    """An outcome, the seconds to wait before it, and the status and reason of an HTTP error."""

    outcome: Outcome
    delay: float = 0.0
    status: int = 200
    reason: str = ""
    retry_after: int | None = None


def call_rng(behaviour: Behaviour, key: str, nth: int) -> Random:
    """The random source of one call: its own, so that the order of arrivals changes nothing."""
    return Random(f"{behaviour.seed}/{nth}/{key}")


def decide(behaviour: Behaviour, key: str, nth: int, in_flight: int, rng: Random) -> Decision:
    """Decide the ``nth`` call (from 1) of ``key`` while ``in_flight`` other calls are held.

    ``fail_first`` comes before the ratios. These share one draw, in the order hang, reset,
    garbage, fail: each is exact while they add up to at most 1, beyond that the last ones give.
    """
    if behaviour.outage:
        return Decision(Outcome.REFUSE, status=REFUSED_STATUS, reason="outage")
    if behaviour.capacity is not None and in_flight >= behaviour.capacity:
        return Decision(Outcome.REFUSE, status=REFUSED_STATUS, reason="capacity")
    delay = (behaviour.latency_ms + rng.uniform(0, behaviour.jitter_ms)) / 1000
    draw = rng.random()
    if nth <= behaviour.fail_first and is_chosen(behaviour, key):
        return _failure(behaviour, delay, "fail_first")
    for outcome, ratio in (
        (Outcome.HANG, behaviour.hang_ratio),
        (Outcome.RESET, behaviour.reset_ratio),
        (Outcome.GARBAGE, behaviour.garbage_ratio),
    ):
        if draw < ratio:
            return Decision(outcome, delay)
        draw -= ratio
    if draw < behaviour.fail_ratio:
        return _failure(behaviour, delay, "fail_ratio")
    return Decision(Outcome.ROUTE, delay)


def is_chosen(behaviour: Behaviour, key: str) -> bool:
    """Whether ``fail_first`` applies to this key: the same answer for ever under one seed."""
    digest = hashlib.sha256(f"{behaviour.seed}/{key}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 < behaviour.fail_first_ratio


def _failure(behaviour: Behaviour, delay: float, reason: str) -> Decision:
    return Decision(Outcome.FAIL, delay, behaviour.fail_status, reason, behaviour.retry_after)
