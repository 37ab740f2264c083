"""The events that this process holds: one job for each, one thread for each job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from scheduler.events import Reserved


@dataclass(eq=False)
class Job:
    """An event in work.

    started_seconds: by the clock of ``Jobs``. permit: allows one probe while the breaker is not
    closed; None once it is used. concluded: the lane has finished, only the queue does not have the
    result yet. abandoned: the lock was given up, so the thread's result has no effect.
    """

    event: Reserved
    started_seconds: float
    permit: str | None = None
    probe: bool = False
    concluded: bool = False
    abandoned: bool = False


@dataclass
class Jobs:
    """Safe for threads. clock: seconds, monotonic."""

    clock: Callable[[], float] = time.monotonic
    _held: set[Job] = field(default_factory=set)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, job: Job) -> None:
        with self._changed:
            self._held.add(job)

    def remove(self, job: Job) -> None:
        with self._changed:
            self._held.discard(job)
            self._changed.notify_all()

    def held(self) -> list[Job]:
        with self._changed:
            return list(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def wait_below(self, count: int, timeout_seconds: float) -> bool:
        """Wait until fewer than ``count`` are held; False if the time was not enough."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._held) < count, timeout_seconds)

    @property
    def most_crashes(self) -> int:
        """The highest crash count among the events held; 0 if there are none."""
        with self._changed:
            return max((job.event.crashes for job in self._held), default=0)
