"""The heartbeat: extends the locks of what is in work, and ends what has been in work too long."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass

from conf.lifecycle import Stop
from scheduler.errors import NotHolder, RedisUnavailable
from scheduler.queue import Queue
from workers.attempt import Attempts
from workers.identity import Identity
from workers.jobs import Job, Jobs
from workers.results import finish

STUCK_SECONDS = 10.0  # beyond its deadline; then the process is renewed, for threads cannot be
ALIVE_BEATS = 4  # missed ones after which a process counts as gone for operators

log = logging.getLogger(__name__)


@dataclass
class Heartbeat:
    """lease, deadline: seconds. A thread and a queue of its own."""

    queue: Queue
    jobs: Jobs
    attempts: Attempts
    identity: Identity
    slots: int
    lease: float
    deadline: float
    stop: Stop

    def __post_init__(self) -> None:
        # A third of the lease: two beats may fail before a lock is lost. A second at most, so that
        # deadlines and the breaker are seen in time.
        self.interval = min(self.lease / 3, 1.0)
        self._end = threading.Event()
        self._extended_at = 0.0

    def start(self) -> None:
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def end(self) -> None:
        """The process holds nothing any more."""
        self._end.set()

    def _run(self) -> None:
        pause = 0.0
        while not self._end.wait(pause):
            pause = self.interval
            try:
                self.beat()
            except RedisUnavailable:
                pause = min(self.interval, 0.2)  # so that the locks outlive a short outage
            except Exception:
                log.exception("the heartbeat failed; it goes on")

    def beat(self) -> None:
        """One beat. Raises ``RedisUnavailable``."""
        now = self.jobs.clock()
        held = [job for job in self.jobs.held() if not job.abandoned]
        late = [job for job in held if self._works_beyond(job, now, self.deadline)]
        if now - self._extended_at >= min(self.interval * 0.9, self.lease / 3):
            self._extend([job for job in held if job not in late])
            self._extended_at = now
        for job in late:
            self._abandon(job)
        stuck = self.deadline + STUCK_SECONDS
        if any(self._works_beyond(job, now, stuck) for job in self.jobs.held()):
            if not self.stop.is_set():
                log.error("a thread is stuck beyond its deadline: this process ends")
            self.stop.set("a thread is stuck")
        self.attempts.steps.refresh()
        self.queue.alive(
            self.identity.owner,
            {
                "pid": os.getpid(),
                "boot": self.identity.boot,
                "lane": self.attempts.steps.lane,
                "slots": self.slots,
                "busy": len(self.jobs),
            },
            ttl_seconds=ALIVE_BEATS * max(self.interval, 1.0),
        )

    @staticmethod
    def _works_beyond(job: Job, now: float, seconds: float) -> bool:
        # One that has ended only waits for Redis: it is paid for, and its thread is not stuck.
        return not job.concluded and now - job.started > seconds

    def _extend(self, held: list[Job]) -> None:
        held = self._latest(held)
        if not held:
            return
        pairs = [(job.event.id, job.event.gen) for job in held]
        lost = set(self.queue.extend(self.attempts.steps.lane, pairs, self.lease))
        for job in held:
            # One that finished between the snapshot and the script is lost in this sense, too.
            if job.event.id in lost and job in self.jobs.held():
                job.abandoned = True
                log.info("event %s: the lock is another's now", job.event.id)

    @staticmethod
    def _latest(held: list[Job]) -> list[Job]:
        """One job an event: a process that slept through its leases may have reserved anew what it
        still works on, and then the earlier lock is lost."""
        latest: dict[str, Job] = {}
        for job in sorted(held, key=lambda job: job.event.fence):
            earlier = latest.get(job.event.id)
            if earlier is not None:
                earlier.abandoned = True
            latest[job.event.id] = job
        return list(latest.values())

    def _abandon(self, job: Job) -> None:
        log.error("event %s: no end after %g s, given up to a retry", job.event.id, self.deadline)
        job.abandoned = True
        result = self.attempts.overdue(job, f"attempt took longer than {self.deadline:g} s")
        try:
            finish(self.queue, job.event, result)
        except NotHolder:
            log.debug("event %s: finished at its deadline", job.event.id)
        except RedisUnavailable:
            job.abandoned = False  # again at the next beat
            raise
