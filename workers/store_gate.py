"""While MongoDB is away, this process reserves nothing; it finds out by itself when to go on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class StoreGate:
    """Safe for threads. answers: asks MongoDB, and may take seconds to say no."""

    def __init__(self, answers: Callable[[], bool]) -> None:
        self._answers = answers
        self._away = threading.Event()

    def away(self, reason: str) -> None:
        """A step found MongoDB away."""
        if not self._away.is_set():
            log.warning("mongodb is away (%s): taking no events until it answers", reason)
        self._away.set()

    def open(self) -> bool:
        """Whether events may be reserved; asks MongoDB if it was away."""
        if self._away.is_set() and self._answers():
            self._away.clear()
            log.info("mongodb answers again")
        return not self._away.is_set()
