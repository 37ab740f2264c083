"""The worker process: reserve for free slots, one thread a job, stop cleanly.

Invariant: nothing is reserved that has no free slot, so what waits, waits in Redis, where every
process can see it. A fault of Redis or MongoDB stops the reserving, never the process.
"""

from __future__ import annotations

import logging
import queue as stdlib_queue
import threading
import time
from collections.abc import Callable

from conf.lifecycle import Stop
from conf.settings import Settings
from scheduler.errors import NotHolder, RedisUnavailable
from scheduler.queue import Queue
from workers.attempt import Attempts
from workers.heartbeat import Heartbeat
from workers.identity import Identity
from workers.jobs import Job, Jobs
from workers.results import Bury, Defer, Result, finish

BATCH_MAX = 32  # events a reserve; larger ones hold up Redis and other processes
IDLE_SECONDS = 1.0  # longest sleep on an empty lane: bounds how late a lost wake-up is noticed
LOOKS = 4  # meanwhile, whether it is time to stop: a stop of everything waits for each lane in turn
SUSPECT_SECONDS = 0.02  # the same while a suspect is held: suspects go one after the other
OUTAGE_PAUSE = 0.2  # between two tries while a store is away
HAND_BACK_TIMEOUT = 2.0
SUSPECT_CRASHES = 2  # as in lua/lib/push.lua

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
        self._steps = attempts.steps
        self._slots, self._queues, self._stop = slots, queues, stop
        self._jobs = Jobs()
        self._inbox: stdlib_queue.SimpleQueue[Job] = stdlib_queue.SimpleQueue()
        self._redis_away = False
        self._in_order = False  # is every lock under our name in our hands?
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
        """Until the stop, then drain."""
        self._heartbeat.start()
        for number in range(self._slots):
            threading.Thread(target=self._work, name=f"slot-{number}", daemon=True).start()
        while not self._stop.is_set():
            try:
                if not self._in_order:
                    self._reclaim()
                self._fetch()
            except RedisUnavailable as error:
                self._redis_is_away(error)
        self._drain()
        self._heartbeat.end()

    def _reclaim(self) -> None:
        """At first, what the predecessor under this name held; after an outage of Redis, what a
        reserve locked for this process whose answer it never got. Raises ``RedisUnavailable``."""
        count = self._queue.reclaim(
            self._steps.lane,
            self._identity.owner,
            self._identity.boot,
            self._settings.max_crashes,
            [job.event.id for job in self._jobs.held()],
        )
        if count:
            log.warning("took back %d events that were locked under this process's name", count)
        if self._redis_away:
            log.info("redis answers again")
        self._redis_away, self._in_order = False, True

    def _fetch(self) -> None:
        free = self._jobs.wait_below(self._room(), OUTAGE_PAUSE)
        if not free or self._stop.is_set():
            return
        if not self._attempts.store.open():
            self._stop.wait(OUTAGE_PAUSE)
            return
        held = len(self._jobs)
        permits = self._steps.permits(min(self._steps.allowed() - held, BATCH_MAX))
        if not permits:
            self._stop.wait(min(IDLE_SECONDS, max(0.05, self._steps.pause())))
            return
        try:
            events = self._queue.reserve(
                self._steps.lane,
                len(permits),
                owner=self._identity.owner,
                boot=self._identity.boot,
                lease_seconds=self._settings.lease_seconds,
                quarantined=0 if self._jobs.most_crashes >= SUSPECT_CRASHES else 1,
                held=held,
                max_crashes=self._settings.max_crashes,
            )
        except RedisUnavailable:
            self._steps.give_back(permits)
            raise
        now = self._jobs.clock()
        for event, permit in zip(events, permits, strict=False):
            job = Job(event, now, permit, probe=permit is not None)
            self._jobs.add(job)
            self._inbox.put(job)
        self._steps.give_back(permits[len(events) :])
        if not events:
            self._idle()

    def _idle(self) -> None:
        """Until an event comes or it is time to stop."""
        if self._jobs.most_crashes >= SUSPECT_CRASHES:
            # Nobody rings when a suspect ends, but the next one may be waiting for that.
            self._queue.wait(self._steps.lane, SUSPECT_SECONDS)
            return
        for _ in range(LOOKS):
            if self._stop.is_set() or self._queue.wait(self._steps.lane, IDLE_SECONDS / LOOKS):
                return

    def _room(self) -> int:
        """How many events may be in work: one, while it is what another crash would make dead. It
        is alone, so that it dies of nothing that a neighbour does."""
        alone = self._jobs.most_crashes >= self._settings.max_crashes - 1
        return 1 if alone else self._steps.allowed()

    def _work(self) -> None:
        queue = self._queues()
        while True:
            job = self._inbox.get()
            try:
                result = self._attempts.run(job, queue)
                job.concluded = True
                self._finish(job, queue, result)
            except RedisUnavailable as error:  # while asking who holds the lock
                log.warning("event %s: left to its lease (%s)", job.event.id, error)
            except Exception:
                log.exception("event %s: left to its lease", job.event.id)
            finally:
                self._jobs.remove(job)
                if job.permit is not None:
                    self._steps.give_back([job.permit])

    def _finish(self, job: Job, queue: Queue, result: Result) -> None:
        """Say it to the queue, for as long as that takes: the work is done and paid for."""
        if isinstance(result, Bury):
            log.warning("event %s: dead: %s: %s", job.event.id, result.reason, result.error)
        else:
            log.debug("event %s: %s", job.event.id, result)
        while not job.abandoned:
            try:
                finish(queue, job.event, result)
            except NotHolder:
                # Another's by now, or an earlier try of this loop went through unconfirmed.
                log.debug("event %s: not held any more", job.event.id)
            except RedisUnavailable:
                time.sleep(OUTAGE_PAUSE)
                continue
            return

    def _drain(self) -> None:
        """Finish what is held within the time for it; hand the rest back, unburnt."""
        s = self._settings
        log.info("stopping (%s) with %d events in work", self._stop.reason, len(self._jobs))
        if self._jobs.wait_below(1, s.drain_seconds):
            return
        rest = [job for job in self._jobs.held() if not job.abandoned]
        log.warning(
            "handing back %d events that did not end within DRAIN_SECONDS=%g",
            len(rest),
            s.drain_seconds,
        )
        until = time.monotonic() + HAND_BACK_TIMEOUT
        for job in rest:
            try:
                finish(self._queue, job.event, Defer(0, "process_stopped"))
            except NotHolder:
                continue
            except RedisUnavailable:
                if time.monotonic() > until:
                    return  # the locks expire by themselves

    def _redis_is_away(self, error: RedisUnavailable) -> None:
        if not self._redis_away:
            log.warning("redis is away (%s): waiting for it", error)
        self._redis_away, self._in_order = True, False
        self._stop.wait(OUTAGE_PAUSE)
