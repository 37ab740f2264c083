"""This process's view of the routing breaker: who may call now, and how calls went."""

from __future__ import annotations

import threading
import time

from scheduler.breaker import Breaker, Permits, Verdict
from scheduler.errors import RedisUnavailable
from workers.jobs import Job

# While Redis hangs, a report costs its timeout, and the threads of a process report one at a time.
MUTE_SECONDS = 1.0


class BreakerOpen(Exception):
    """The breaker opened after the event was reserved. wait: seconds until anybody may try."""

    def __init__(self, wait: float) -> None:
        super().__init__("the routing breaker is open")
        self.wait = wait


class BreakerGate:
    """Safe for threads. permit_life: seconds; longer than an attempt may take."""

    def __init__(self, breaker: Breaker, holder: str, permit_life: float) -> None:
        self._breaker, self._holder, self._permit_life = breaker, holder, permit_life
        self._lock = threading.Lock()  # the breaker's link serves one thread at a time
        self._view = Permits("closed", 0)
        self._muted_until = 0.0

    @property
    def wait(self) -> float:
        return self._view.wait_seconds

    def refresh(self) -> None:
        """See whether others opened or closed it. Raises ``RedisUnavailable``."""
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
                wanted, lifetime_seconds=self._permit_life, holder=self._holder
            )
            return self._view

    def check(self, job: Job) -> None:
        """Raises ``BreakerOpen`` unless this job may call."""
        view = self._view
        if job.permit is None and view.state != "closed":
            raise BreakerOpen(view.wait_seconds)

    def report(self, job: Job, good: bool) -> None:
        """How the job's call went. A report that Redis does not take is lost: others follow."""
        permit, job.permit = job.permit, None
        if permit is not None:
            self._report(0, 0, [(permit, "good" if good else "bad")])
        else:
            self._report(int(good), int(not good), [])

    def give_back(self, permits: list[str]) -> None:
        """Permits that were not used."""
        if permits:
            self._report(0, 0, [(permit, "unused") for permit in permits])

    def _report(self, good: int, bad: int, permits: list[tuple[str, Verdict]]) -> None:
        with self._lock:
            if time.monotonic() < self._muted_until and not permits:
                return
            try:
                self._view = self._breaker.report(good, bad, permits)
            except RedisUnavailable:
                self._muted_until = time.monotonic() + MUTE_SECONDS
