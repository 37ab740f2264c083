"""What the service was asked and what it answered.

Invariant: ``calls`` = ``succeeded`` + ``failed`` + the calls still held, at any moment.
"""

from __future__ import annotations

from collections import Counter


class Stats:
    """The book of one stretch of time; a reset opens a new one and the old one is let go.

    A call is entered in the book that was open when it arrived, so that an answer given after a
    reset never shows up in a book that did not see the call. Keys are kept until the reset.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.failed = 0
        self.abandoned = 0  # those among the failed whose client left before the answer
        self.max_concurrent = 0
        self._calls_of: Counter[str] = Counter()
        self._successes_of: Counter[str] = Counter()
        self._succeeded = 0

    def arrive(self, key: str) -> int:
        """Enter a call; which call of its key it is, from 1."""
        self.calls += 1
        self._calls_of[key] += 1
        return self._calls_of[key]

    def hold(self, in_flight: int) -> None:
        """Note that ``in_flight`` calls are held now."""
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
        """How many calls succeeded, for every key seen, with 0 for those that never did."""
        return {key: self._successes_of[key] for key in self._calls_of}
