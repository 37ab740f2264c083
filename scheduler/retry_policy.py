"""When to try again. Pure: time and randomness are passed in, nothing here sleeps.

Floor plus full jitter: of the formulas that AWS's simulator compares it makes the fewest calls in
about the shortest time, and the floor keeps a fast failure from spinning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RetryPolicy:
    """Seconds throughout. max_age counts from the time the event came to life."""

    floor: float
    base: float
    cap: float
    max_attempts: int
    max_age: float

    def delay(self, attempt: int, retry_after: float, uniform: Callable[[], float]) -> float:
        """Wait before the next try; attempt counts from 0, uniform draws from [0, 1)."""
        window = min(self.cap, self.base * 2.0 ** min(attempt, 60))
        return max(retry_after, self.floor) + uniform() * window

    def hopeless(self, failed_attempts: int, age: float) -> str | None:
        """Why there is no further try after this failed one, or None if there is."""
        if failed_attempts >= self.max_attempts:
            return "attempts_exhausted"
        if age > self.max_age:
            return "too_old"
        return None


def wait_for_unknown(waits: int, longest: float, uniform: Callable[[], float]) -> float:
    """Wait before the next look for a shipment that is not known yet: it doubles from 1 s to
    ``longest``, and a fifth of it is jitter, so that an overtaken batch does not return as one."""
    return min(longest, 2.0 ** min(waits, 30)) * (0.9 + 0.2 * uniform())


def pause(uniform: Callable[[], float], least: float = 1.0, spread: float = 4.0) -> float:
    """Wait of a deferred event while a store or the Routing Service is away."""
    return least + spread * uniform()
