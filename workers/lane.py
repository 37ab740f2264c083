"""What a worker process needs of the lane that it serves."""

from __future__ import annotations

from typing import Protocol

from scheduler.keys import LaneName
from workers.jobs import Job
from workers.results import Result


class Lane(Protocol):
    """Every method is safe for threads."""

    @property
    def name(self) -> LaneName: ...

    def allowed(self) -> int:
        """How many events may be in work at once, now."""

    def permits(self, wanted: int) -> list[str | None]:
        """One entry for each event that may be reserved now, at most ``wanted``; None where the
        event needs no permit. Raises ``RedisUnavailable``."""

    def give_back(self, permits: list[str | None]) -> None:
        """Return permits that were not used."""

    def refresh(self) -> None:
        """Called at every heartbeat. Raises ``RedisUnavailable``."""

    def permit_wait_seconds(self) -> float:
        """After ``permits`` returned none: how long until there may be one."""

    def handle(self, job: Job) -> Result:
        """Process one event. Raises the errors of ``workers.errors``, and ``BreakerOpen``."""
