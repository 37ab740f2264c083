"""The service's counters.

Invariant: ``calls`` = ``succeeded`` + ``failed`` + the calls still in flight, at any time.
"""

from __future__ import annotations

from collections import Counter


class Stats:
    """The counters since a reset, which replaces the object.

    A call keeps the object of its arrival, so that an answer sent after a reset is not counted
    among calls that do not include it. Keys are kept until the reset.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.failed = 0
        self.abandoned = 0  # of the failed: the client disconnected before the answer
        self.max_concurrent = 0
        self._calls_of: Counter[str] = Counter()
        self._successes_of: Counter[str] = Counter()
        self._succeeded = 0

    def arrive(self, key: str) -> int:
        """Count a call. Returns its number among the calls of its key, from 1."""
        self.calls += 1
        self._calls_of[key] += 1
        return self._calls_of[key]

    def hold(self, in_flight: int) -> None:
        """``in_flight`` calls are held now."""
        self.max_concurrent = max(self.max_concurrent, in_flight)

    def succeed(self, key: str) -> None:
        self._succeeded += 1
        self._successes_of[key] += 1

    def fail(self) -> None:
        self.failed += 1

    def abandon(self) -> None:
        self.failed += 1
        self.abandoned += 1

    def summary(self) -> dict[str, int]:
        """The counters; ``repeats`` are the successful calls beyond the first for a key."""
        return {
            "calls": self.calls,
            "succeeded": self._succeeded,
            "failed": self.failed,
            "abandoned": self.abandoned,
            "keys": len(self._calls_of),
            "repeats": self._succeeded - len(self._successes_of),
            "max_concurrent": self.max_concurrent,
        }

    def successes(self) -> dict[str, int]:
        """Successful calls by key, 0 for keys without one."""
        return {key: self._successes_of[key] for key in self._calls_of}
