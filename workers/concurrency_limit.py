"""How many calls to the Routing Service this process makes at once: additive increase,
multiplicative decrease, between 1 and its slots."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

DECREASE = 0.7  # lower backs off harder and takes longer to fill the slots again
COOLDOWN_SECONDS = 1.0  # calls that were in flight together count as one pushback


class ConcurrencyLimit:
    """Safe for threads. clock: seconds, monotonic."""

    def __init__(self, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots, self._clock = slots, clock
        self._limit = float(slots)
        self._lock = threading.Lock()
        self._cut_at = clock() - COOLDOWN_SECONDS

    @property
    def allowed(self) -> int:
        return int(self._limit)

    def succeeded(self) -> None:
        """About one more after each full round of calls that went well."""
        with self._lock:
            self._limit = min(self._slots, self._limit + 1 / self._limit)

    def pushed_back(self) -> None:
        """The service answered 429 or 503, or did not answer in time."""
        with self._lock:
            if self._clock() - self._cut_at >= COOLDOWN_SECONDS:
                self._cut_at = self._clock()
                self._limit = max(1.0, self._limit * DECREASE)
