"""The heartbeat: extends the locks of the events in work and gives up those past their deadline."""

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

# A thread that is still at work this long after its event's deadline ends the process, for a thread
# cannot be stopped. Shorter restarts a process for calls that are only slow.
STUCK_SECONDS = 10.0
# The entry of a live process expires after this many heartbeats are missed. Fewer show a busy
# process as gone, more show a dead one for longer. Operators only; nothing else depends on it.
ALIVE_BEATS = 4

log = logging.getLogger(__name__)


@dataclass
class Heartbeat:
    """Runs in a thread of its own; no other thread uses ``queue``."""

    queue: Queue
    jobs: Jobs
    attempts: Attempts
    identity: Identity
    slots: int
    lease_seconds: float
    deadline_seconds: float
    stop: Stop

    def __post_init__(self) -> None:
        # A third of the lease: two beats may fail before a lock is lost. At most a second, so that
        # a passed deadline and a change of the breaker are noticed in time.
        self.interval_seconds = min(self.lease_seconds / 3, 1.0)
        self._end = threading.Event()
        self._extended_at = 0.0

    def start(self) -> None:
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def end(self) -> None:
        """Called when the process holds no events any more."""
        self._end.set()

    def _run(self) -> None:
        pause_seconds = 0.0
        while not self._end.wait(pause_seconds):
            pause_seconds = self.interval_seconds
            try:
                self.beat()
            except RedisUnavailable:
                # Try more often, so that the locks survive a short outage.
                pause_seconds = min(self.interval_seconds, 0.2)
            except Exception:
                log.exception("a heartbeat failed; the next one follows")

    def beat(self) -> None:
        """One heartbeat. Raises ``RedisUnavailable``."""
        now = self.jobs.clock()
        held = [job for job in self.jobs.held() if not job.abandoned]
        late = [job for job in held if self._works_beyond(job, now, self.deadline_seconds)]
        if now - self._extended_at >= min(self.interval_seconds * 0.9, self.lease_seconds / 3):
            self._extend([job for job in held if job not in late])
            self._extended_at = now
        for job in late:
            self._abandon(job)
        stuck = self.deadline_seconds + STUCK_SECONDS
        if any(self._works_beyond(job, now, stuck) for job in self.jobs.held()):
            if not self.stop.is_set():
                log.error("a thread is stuck beyond its deadline: this process ends")
            self.stop.set("a thread is stuck")
        self.attempts.lane.refresh()
        self.queue.alive(
            self.identity.owner,
            {
                "pid": os.getpid(),
                "boot": self.identity.boot,
                "lane": self.attempts.lane.name,
                "slots": self.slots,
                "busy": len(self.jobs),
            },
            ttl_seconds=ALIVE_BEATS * max(self.interval_seconds, 1.0),
        )

    @staticmethod
    def _works_beyond(job: Job, now: float, seconds: float) -> bool:
        # A concluded job only waits for Redis: its thread is not stuck.
        return not job.concluded and now - job.started_seconds > seconds

    def _extend(self, held: list[Job]) -> None:
        held = self._latest(held)
        if not held:
            return
        pairs = [(job.event.id, job.event.gen) for job in held]
        lost = set(self.queue.extend(self.attempts.lane.name, pairs, self.lease_seconds))
        for job in held:
            # A job that finished between the snapshot and the script is reported as lost, too.
            if job.event.id in lost and job in self.jobs.held():
                job.abandoned = True
                log.info("event %s: another process holds the lock now", job.event.id)

    @staticmethod
    def _latest(held: list[Job]) -> list[Job]:
        """One job an event. A process that was suspended beyond its leases may reserve an event a
        second time while a thread still works on the first reservation, whose lock is lost."""
        latest: dict[str, Job] = {}
        for job in sorted(held, key=lambda job: job.event.fence):
            earlier = latest.get(job.event.id)
            if earlier is not None:
                earlier.abandoned = True
            latest[job.event.id] = job
        return list(latest.values())

    def _abandon(self, job: Job) -> None:
        deadline = self.deadline_seconds
        log.error("event %s: not finished after %g s, retried later", job.event.id, deadline)
        job.abandoned = True
        result = self.attempts.overdue(job, f"attempt took longer than {deadline:g} s")
        try:
            finish(self.queue, job.event, result)
        except NotHolder:
            log.debug("event %s: finished at its deadline", job.event.id)
        except RedisUnavailable:
            job.abandoned = False  # the next heartbeat tries again
            raise
