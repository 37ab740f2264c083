"""While MongoDB is unavailable, a worker process reserves no events."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class StoreGate:
    """Safe for threads. answers: asks MongoDB, and may take seconds to return False."""

    def __init__(self, answers: Callable[[], bool]) -> None:
        self._answers = answers
        self._unavailable = threading.Event()

    def report_unavailable(self, reason: str) -> None:
        """An operation on MongoDB failed because MongoDB is unavailable."""
        if not self._unavailable.is_set():
            log.warning("mongodb is unavailable (%s): reserving no events until it answers", reason)
        self._unavailable.set()

    def allows_work(self) -> bool:
        """Whether events may be reserved. Asks MongoDB only after it was reported unavailable."""
        if self._unavailable.is_set() and self._answers():
            self._unavailable.clear()
            log.info("mongodb answers again")
        return not self._unavailable.is_set()
