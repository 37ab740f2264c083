"""How many calls to the Routing Service this process makes at once: between 1 and its slots.

Additive increase, multiplicative decrease, judged by a second's calls together: a service that
fails some calls at random is not overloaded, and fewer calls would only be fewer; one that pushes
back on most of them is. A slot that was pushed back rests a moment besides, so that a service which
refuses at once is not asked again at once by the next event.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

ROUND_SECONDS = 1.0  # longer judges surer and later
OVERLOAD_SHARE = 0.4  # of a round's calls pushed back; lower gives way to random failures, too
DECREASE = 0.7  # lower backs off harder and takes longer to fill the slots again
INCREASE = 0.1  # of the limit, and one call at least, after each good round
REST_SECONDS = 0.5  # of a slot that was pushed back


class ConcurrencyLimit:
    """Safe for threads. clock: seconds, monotonic."""

    def __init__(self, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots, self._clock = slots, clock
        self._limit = float(slots)
        self._lock = threading.Lock()
        self._round_began = clock()
        self._good = self._pushed = 0
        self._resting: deque[float] = deque()  # the ends of the rests

    @property
    def allowed(self) -> int:
        """Calls that may be in flight now."""
        with self._lock:
            now = self._clock()
            while self._resting and self._resting[0] <= now:
                self._resting.popleft()
            return max(1, int(self._limit) - len(self._resting))

    def succeeded(self) -> None:
        """A call went well."""
        with self._lock:
            self._good += 1
            self._judge()

    def pushed_back(self) -> None:
        """The service answered 429 or 503, or did not answer in time."""
        with self._lock:
            self._pushed += 1
            self._resting.append(self._clock() + REST_SECONDS)
            self._judge()

    def _judge(self) -> None:
        now = self._clock()
        if now - self._round_began < ROUND_SECONDS:
            return
        if self._pushed > OVERLOAD_SHARE * (self._good + self._pushed):
            self._limit = max(1.0, self._limit * DECREASE)
        else:
            self._limit = min(self._slots, self._limit + max(1.0, INCREASE * self._limit))
        self._round_began, self._good, self._pushed = now, 0, 0
