"""The worker process: reserve events for free slots, one thread an event, stop cleanly.

Invariant: nothing is reserved that has no free slot, so that waiting events stay in Redis, where
every process can take them. A failure of Redis or MongoDB pauses the reserving and never ends the
process.
"""

from __future__ import annotations

import logging
import queue as stdlib_queue
import threading
import time
from collections.abc import Callable

from conf.lifecycle import Stop
from conf.settings import Settings
from scheduler.constants import QUARANTINE_CRASHES
from scheduler.errors import NotHolder, RedisUnavailable
from scheduler.queue import Queue
from workers.attempt import Attempts
from workers.heartbeat import Heartbeat
from workers.identity import Identity
from workers.jobs import Job, Jobs
from workers.results import Bury, Defer, Result, finish

# Events in one reserve. More would block Redis, and so other processes, for longer.
BATCH_MAX = 32
# An idle worker tries to reserve this often without a wake-up token: it bounds how late a lost
# token is noticed. Shorter costs Redis more scripts.
IDLE_SECONDS = 1.0
# An idle worker checks this often whether to stop. Shorter stops the whole stack sooner and costs
# Redis more commands.
STOP_CHECK_SECONDS = 0.25
# While this process holds an event in quarantine it tries to reserve this often, because no token
# announces that the next one may be taken. They are taken one at a time: longer slows them all.
QUARANTINE_POLL_SECONDS = 0.02
# Between two tries while Redis or MongoDB is unavailable. Shorter recovers sooner and costs the
# store more connections while it starts.
OUTAGE_PAUSE_SECONDS = 0.2
# For returning unfinished events to an unavailable Redis before the process ends without: their
# locks then expire, which takes a lease.
RETURN_SECONDS = 2.0

log = logging.getLogger(__name__)


class WorkerProcess:
    """queues: makes a ``Queue`` with a connection of its own, for each thread that needs one."""

    def __init__(
        self,
        settings: Settings,
        attempts: Attempts,
        identity: Identity,
        slots: int,
        queues: Callable[[], Queue],
        stop: Stop,
    ) -> None:
        self._settings, self._attempts, self._identity = settings, attempts, identity
        self._lane = attempts.lane
        self._slots, self._queues, self._stop = slots, queues, stop
        self._jobs = Jobs()
        self._inbox: stdlib_queue.SimpleQueue[Job] = stdlib_queue.SimpleQueue()
        self._redis_unavailable = False
        self._reclaimed = False  # False: Redis may hold locks of this owner that have no job here
        self._queue = queues()
        self._heartbeat = Heartbeat(
            queues(),
            self._jobs,
            attempts,
            identity,
            slots,
            settings.lease_seconds,
            settings.attempt_seconds,
            stop,
        )

    def run(self) -> None:
        """Process events until the stop, then drain."""
        self._heartbeat.start()
        for number in range(self._slots):
            threading.Thread(target=self._work, name=f"slot-{number}", daemon=True).start()
        while not self._stop.is_set():
            try:
                if not self._reclaimed:
                    self._reclaim()
                self._fetch()
            except RedisUnavailable as error:
                self._on_redis_unavailable(error)
        self._drain()
        self._heartbeat.end()

    def _reclaim(self) -> None:
        """Make ready what is locked under this owner's name without a job here: at the start, what
        a predecessor held; after an outage of Redis, what a reserve locked whose reply was lost.
        Raises ``RedisUnavailable``."""
        count = self._queue.reclaim(
            self._lane.name,
            self._identity.owner,
            self._identity.boot,
            self._settings.max_crashes,
            [job.event.id for job in self._jobs.held()],
        )
        if count:
            log.warning("reclaimed %d events that were locked under this process's name", count)
        if self._redis_unavailable:
            log.info("redis answers again")
        self._redis_unavailable, self._reclaimed = False, True

    def _fetch(self) -> None:
        free = self._jobs.wait_below(self._concurrency(), OUTAGE_PAUSE_SECONDS)
        if not free or self._stop.is_set():
            return
        if not self._attempts.store.allows_work():
            self._stop.wait(OUTAGE_PAUSE_SECONDS)
            return
        held = len(self._jobs)
        permits = self._lane.permits(min(self._lane.allowed() - held, BATCH_MAX))
        if not permits:
            self._stop.wait(min(IDLE_SECONDS, max(0.05, self._lane.permit_wait_seconds())))
            return
        try:
            events = self._queue.reserve(
                self._lane.name,
                len(permits),
                owner=self._identity.owner,
                boot=self._identity.boot,
                lease_seconds=self._settings.lease_seconds,
                quarantined=0 if self._holds_quarantined() else 1,
                held=held,
                max_crashes=self._settings.max_crashes,
            )
        except RedisUnavailable:
            self._lane.give_back(permits)
            raise
        now = self._jobs.clock()
        for event, permit in zip(events, permits, strict=False):
            job = Job(event, now, permit, probe=permit is not None)
            self._jobs.add(job)
            self._inbox.put(job)
        self._lane.give_back(permits[len(events) :])
        if not events:
            self._idle()

    def _idle(self) -> None:
        """Return when an event may have come, or when it is time to stop."""
        if self._holds_quarantined():
            self._queue.wait(self._lane.name, QUARANTINE_POLL_SECONDS)
            return
        for _ in range(round(IDLE_SECONDS / STOP_CHECK_SECONDS)):
            if self._stop.is_set() or self._queue.wait(self._lane.name, STOP_CHECK_SECONDS):
                return

    def _holds_quarantined(self) -> bool:
        return self._jobs.most_crashes >= QUARANTINE_CRASHES

    def _concurrency(self) -> int:
        """How many events may be in work now. An event that one more crash would dead-letter is
        processed exclusively, so that no other event can be the cause of that crash."""
        exclusive = self._jobs.most_crashes >= self._settings.max_crashes - 1
        return 1 if exclusive else self._lane.allowed()

    def _work(self) -> None:
        queue = self._queues()
        while True:
            job = self._inbox.get()
            try:
                result = self._attempts.run(job, queue)
                job.concluded = True
                self._finish(job, queue, result)
            except RedisUnavailable as error:  # while it asked who holds the lock
                log.warning("event %s: left until its lock expires (%s)", job.event.id, error)
            except Exception:
                log.exception("event %s: left until its lock expires", job.event.id)
            finally:
                self._jobs.remove(job)
                if job.permit is not None:
                    self._lane.give_back([job.permit])

    def _finish(self, job: Job, queue: Queue, result: Result) -> None:
        """Pass the result to the queue, however long Redis is unavailable: the work is done and
        must not be repeated for want of a record."""
        if isinstance(result, Bury):
            log.warning("event %s: dead: %s: %s", job.event.id, result.reason, result.error)
        else:
            log.debug("event %s: %s", job.event.id, result)
        while not job.abandoned:
            try:
                finish(queue, job.event, result)
            except NotHolder:
                # Another process has it, or an earlier try succeeded and its reply was lost.
                log.debug("event %s: not held any more", job.event.id)
            except RedisUnavailable:
                time.sleep(OUTAGE_PAUSE_SECONDS)
                continue
            return

    def _drain(self) -> None:
        """Finish what is held within DRAIN_SECONDS; return the rest, which consumes no attempt."""
        s = self._settings
        log.info("stopping (%s) with %d events in work", self._stop.reason, len(self._jobs))
        if self._jobs.wait_below(1, s.drain_seconds):
            return
        rest = [job for job in self._jobs.held() if not job.abandoned]
        log.warning(
            "returning %d events that did not end within DRAIN_SECONDS=%g",
            len(rest),
            s.drain_seconds,
        )
        until = time.monotonic() + RETURN_SECONDS
        for job in rest:
            try:
                finish(self._queue, job.event, Defer(0, "process_stopped"))
            except NotHolder:
                continue
            except RedisUnavailable:
                if time.monotonic() > until:
                    return

    def _on_redis_unavailable(self, error: RedisUnavailable) -> None:
        if not self._redis_unavailable:
            log.warning("redis is unavailable (%s): trying until it answers", error)
        self._redis_unavailable, self._reclaimed = True, False
        self._stop.wait(OUTAGE_PAUSE_SECONDS)
