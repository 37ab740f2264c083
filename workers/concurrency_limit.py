"""How many calls to the Routing Service this process makes at once: between 1 and its slots.

Additive increase, multiplicative decrease, decided once a round by the share of calls that were
pushed back: a service that fails some calls at random is not overloaded, and fewer calls would not
help it. In addition a slot whose call was pushed back rests, so that a service that refuses at once
does not get the next event's call at once.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

ROUND_SECONDS = 1.0  # longer decides on more calls, and later
OVERLOAD_SHARE = 0.4  # of a round's calls pushed back; lower reacts to random failures, too
DECREASE = 0.7  # times the limit, after a round of overload; lower backs off and recovers slower
INCREASE = 0.1  # of the limit, and at least one call, after any other round; higher overshoots more
REST_SECONDS = 0.5  # of a slot that was pushed back; longer spares the service and idles the slot


class ConcurrencyLimit:
    """Safe for threads. clock: seconds, monotonic."""

    def __init__(self, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots, self._clock = slots, clock
        self._limit = float(slots)
        self._lock = threading.Lock()
        self._round_began = clock()
        self._succeeded = self._pushed_back = 0
        self._rest_ends: deque[float] = deque()

    @property
    def allowed(self) -> int:
        """Calls that may be in flight now."""
        with self._lock:
            now = self._clock()
            while self._rest_ends and self._rest_ends[0] <= now:
                self._rest_ends.popleft()
            return max(1, int(self._limit) - len(self._rest_ends))

    def succeeded(self) -> None:
        """A call succeeded."""
        with self._lock:
            self._succeeded += 1
            self._end_round_if_due()

    def pushed_back(self) -> None:
        """The service answered 429 or 503, or did not answer in time."""
        with self._lock:
            self._pushed_back += 1
            self._rest_ends.append(self._clock() + REST_SECONDS)
            self._end_round_if_due()

    def _end_round_if_due(self) -> None:
        now = self._clock()
        if now - self._round_began < ROUND_SECONDS:
            return
        if self._pushed_back > OVERLOAD_SHARE * (self._succeeded + self._pushed_back):
            self._limit = max(1.0, self._limit * DECREASE)
        else:
            self._limit = min(self._slots, self._limit + max(1.0, INCREASE * self._limit))
        self._round_began, self._succeeded, self._pushed_back = now, 0, 0
