"""The operator's view of what the edge refuses: one log line a kind, however many come.

Anybody can make the edge refuse, so the lines are bounded: a flood costs one line a window for
each source and reason, which says how many were left out. No line holds a secret, a signature or
a body.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

# Longer: quieter under attack. Shorter: the counts in the log are fresher.
WINDOW_SECONDS = 10.0

log = logging.getLogger(__name__)


class RejectionLog:
    """Safe for threads. The keys are configured sources and fixed reasons, so they are few."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}  # window's end, left out in it

    def note(self, source: str, reason: str, remote: str) -> None:
        """A request for ``source`` was refused."""
        more = self._left_out(source, reason)
        if more is not None:
            log.warning("refused source=%s reason=%s remote=%s%s", source, reason, remote, more)

    def conflict(self, source: str, id: str, remote: str) -> None:
        """A duplicate came with another body than the first one's, which stays the one."""
        more = self._left_out(source, "conflicting")
        if more is not None:
            log.warning("conflicting duplicate id=%s remote=%s%s", id, remote, more)

    def fault(self, method: str, path: str, error: BaseException) -> None:
        """A fault of ours, with its trace: whoever found out how to cause it shall not fill the
        disk with it."""
        more = self._left_out(path, type(error).__name__)
        if more is not None:
            log.error("unhandled in %s %s%s", method, path, more, exc_info=error)

    def _left_out(self, source: str, reason: str) -> str | None:
        """None: this one is left out. Else what to add about those that were."""
        key, now = (source, reason), self._clock()
        with self._lock:
            until, left_out = self._seen.get(key, (now, 0))
            if now < until:
                self._seen[key] = (until, left_out + 1)
                return None
            self._seen[key] = (now + WINDOW_SECONDS, 0)
        return f", and {left_out} more since the last such line" if left_out else ""
