"""Logs rejected requests for operators, at a bounded rate.

Anyone can send requests that the edge rejects. So each source and reason gets one line per window,
and the next line says how many were left out. No line holds a secret, a signature or a body.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

# Longer: fewer lines under attack. Shorter: the log shows a change in the counts sooner.
WINDOW_SECONDS = 10.0

log = logging.getLogger(__name__)


class RejectionLog:
    """Thread-safe. Keys are configured sources and fixed reasons, so their number is bounded.

    clock: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[
            tuple[str, str], tuple[float, int]
        ] = {}  # its end, lines left out in it

    def note(self, source: str, reason: str, remote: str) -> None:
        """A request for ``source`` was rejected."""
        more = self._left_out(source, reason)
        if more is not None:
            log.warning("refused source=%s reason=%s remote=%s%s", source, reason, remote, more)

    def conflict(self, source: str, id: str, remote: str) -> None:
        """A duplicate came with another body than the first one's, which stays stored."""
        more = self._left_out(source, "conflicting")
        if more is not None:
            log.warning("conflicting duplicate id=%s remote=%s%s", id, remote, more)

    def fault(self, method: str, path: str, error: BaseException) -> None:
        """An exception that no code handled, with its traceback. Bounded too: a client that found
        out how to cause it must not be able to fill the disk."""
        more = self._left_out(path, type(error).__name__)
        if more is not None:
            log.error("unhandled in %s %s%s", method, path, more, exc_info=error)

    def _left_out(self, source: str, reason: str) -> str | None:
        """None to leave this line out; else the text to add about the lines that were left out."""
        key, now = (source, reason), self._clock()
        with self._lock:
            until, left_out = self._windows.get(key, (now, 0))
            if now < until:
                self._windows[key] = (until, left_out + 1)
                return None
            self._windows[key] = (now + WINDOW_SECONDS, 0)
        return f", and {left_out} more since the last such line" if left_out else ""
