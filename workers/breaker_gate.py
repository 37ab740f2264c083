"""This process's view of the routing breaker: which jobs may call now, and how calls went."""

from __future__ import annotations

import threading
import time

from scheduler.breaker import Breaker, Permits, Verdict
from scheduler.errors import RedisUnavailable
from workers.jobs import Job

# After a report failed, the process skips reports for this long: while Redis hangs, each costs its
# timeout, and the threads report one at a time. Longer loses more reports, shorter delays more
# jobs.
REPORT_PAUSE_SECONDS = 1.0


class BreakerOpen(Exception):
    """The breaker opened after the event was reserved. wait_seconds: until it allows a probe."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__("the routing breaker is open")
        self.wait_seconds = wait_seconds


class BreakerGate:
    """Safe for threads. permit_seconds: how long a permit lasts; longer than an attempt may."""

    def __init__(self, breaker: Breaker, holder: str, permit_seconds: float) -> None:
        self._breaker, self._holder, self._permit_seconds = breaker, holder, permit_seconds
        self._lock = threading.Lock()  # the breaker's connection serves one thread at a time
        self._view = Permits("closed", 0)
        self._no_reports_until = 0.0

    @property
    def wait_seconds(self) -> float:
        return self._view.wait_seconds

    def refresh(self) -> None:
        """Learn whether another process opened or closed the breaker. Raises
        ``RedisUnavailable``."""
        self._ask(0)

    def permits(self, wanted: int) -> list[str | None]:
        """One entry for each event that may be reserved now; None where no permit is needed.

        Raises ``RedisUnavailable``.
        """
        if self._view.state == "closed":
            return [None] * wanted
        view = self._ask(wanted)
        return [None] * wanted if view.state == "closed" else list(view.permits)

    def _ask(self, wanted: int) -> Permits:
        with self._lock:
            self._view = self._breaker.ask(
                wanted, lifetime_seconds=self._permit_seconds, holder=self._holder
            )
            return self._view

    def check(self, job: Job) -> None:
        """Raises ``BreakerOpen`` unless this job may call."""
        view = self._view
        if job.permit is None and view.state != "closed":
            raise BreakerOpen(view.wait_seconds)

    def report(self, job: Job, good: bool) -> None:
        """Report how the job's call went, and use up its permit. A report that Redis does not take
        is lost: other calls are reported, and the permit expires."""
        permit, job.permit = job.permit, None
        if permit is not None:
            self._report(0, 0, [(permit, "good" if good else "bad")])
        else:
            self._report(int(good), int(not good), [])

    def give_back(self, permits: list[str]) -> None:
        """Return permits that were not used."""
        if permits:
            self._report(0, 0, [(permit, "unused") for permit in permits])

    def _report(self, good: int, bad: int, permits: list[tuple[str, Verdict]]) -> None:
        with self._lock:
            if time.monotonic() < self._no_reports_until and not permits:
                return
            try:
                self._view = self._breaker.report(good, bad, permits)
            except RedisUnavailable:
                self._no_reports_until = time.monotonic() + REPORT_PAUSE_SECONDS
