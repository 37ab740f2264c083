"""When to try again. Pure: age and randomness are passed in, nothing here sleeps.

The delay is a floor plus full jitter: of the formulas that AWS's simulator compares, full jitter
makes the fewest calls in about the shortest time, and the floor keeps an event that fails at once
from looping.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RetryPolicy:
    """max_age_seconds counts from acceptance or the latest replay."""

    floor_seconds: float
    base_seconds: float
    cap_seconds: float
    max_attempts: int
    max_age_seconds: float

    def delay_seconds(
        self, attempt: int, retry_after_seconds: float, uniform: Callable[[], float]
    ) -> float:
        """Wait before the next attempt. attempt: counts from 0. uniform: draws from [0, 1)."""
        window = min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempt, 60))
        return max(retry_after_seconds, self.floor_seconds) + uniform() * window

    def stop_reason(self, failed_attempts: int, age_seconds: float) -> str | None:
        """Why an event that has failed so often is not retried; None if it is retried."""
        if failed_attempts >= self.max_attempts:
            return "attempts_exhausted"
        if age_seconds > self.max_age_seconds:
            return "too_old"
        return None


def unknown_shipment_delay_seconds(
    waits: int, longest_seconds: float, uniform: Callable[[], float]
) -> float:
    """Wait before the next lookup of an unknown shipment: doubles from 1 s to ``longest_seconds``.

    A fifth of it is jitter, so that a batch that overtook its orders does not return all at once.
    """
    return min(longest_seconds, 2.0 ** min(waits, 30)) * (0.9 + 0.2 * uniform())


def unavailable_delay_seconds(
    uniform: Callable[[], float], least_seconds: float = 1.0, spread_seconds: float = 4.0
) -> float:
    """Wait of an event that is deferred because a store or the Routing Service is unavailable."""
    return least_seconds + spread_seconds * uniform()
