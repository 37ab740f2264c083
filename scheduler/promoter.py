"""The scheduler's one duty: what is due becomes ready, exactly when it is due."""

from __future__ import annotations

import logging
import time

from conf.lifecycle import Stop
from conf.settings import Settings
from scheduler.connection import RedisConnection
from scheduler.errors import RedisUnavailable
from scheduler.events import Promotion
from scheduler.keys import Keys
from scheduler.queue import Queue
from scheduler.wake_up_listener import WakeUpListener

LONGEST_SLEEP = 1.0  # also how often the drain rate is measured and tombstones are trimmed
OUTAGE_PAUSE = 0.2  # between two tries while Redis is away: retries are late by no more than this
DEAD_WARNING = 0.8  # share of DEAD_MAX_EVENTS from which every minute brings a warning
DEAD_CHECK_SECONDS = 60.0

log = logging.getLogger(__name__)


class Promoter:
    """Runs promote whenever something is due. Any number of them may run beside each other.

    remember_at_least_seconds: how long a finished event is remembered at least.
    """

    def __init__(self, settings: Settings, remember_at_least_seconds: float, stop: Stop) -> None:
        self._settings, self._replay_seconds, self._stop = settings, remember_at_least_seconds, stop
        self._queue = Queue(RedisConnection(settings.redis_url))
        self._listener = WakeUpListener(RedisConnection(settings.redis_url), Keys().wake_scheduler)
        # A quarter of the lease at most: promote reads a longer gap as an outage of Redis.
        self._longest_sleep = min(LONGEST_SLEEP, settings.lease_seconds / 4)
        self._away = False
        self._dead_check = 0.0

    def run(self) -> None:
        """Until the stop. Outlasts every outage of Redis."""
        while not self._stop.is_set():
            try:
                done = self.step()
                if self._away:
                    self._away = False
                    log.info("redis answers again")
                if done.next_due_seconds != 0:
                    longest = self._longest_sleep
                    due = done.next_due_seconds
                    self._listener.wait(longest if due is None else min(due, longest))
            except RedisUnavailable as error:
                if not self._away:
                    self._away = True
                    log.warning("redis is away (%s): retries wait for it", error)
                self._stop.wait(OUTAGE_PAUSE)

    def step(self) -> Promotion:
        """One run of promote; says in the log what is worth knowing."""
        s = self._settings
        done = self._queue.promote(
            lease_seconds=s.lease_seconds,
            max_crashes=s.max_crashes,
            dedup_window_seconds=s.dedup_window_seconds,
            tombstones_max=s.tombstones_max,
            remember_at_least_seconds=self._replay_seconds,
        )
        if done.expired:
            log.warning("%d locks expired: their holders are gone; others take over", done.expired)
        if done.promoted:
            log.debug("%d retries are due", done.promoted)
        self._watch_dead()
        return done

    def _watch_dead(self) -> None:
        if time.monotonic() < self._dead_check:
            return
        self._dead_check = time.monotonic() + DEAD_CHECK_SECONDS
        dead = int(self._queue.connection.command("ZCARD", self._queue.keys.dead))
        cap = self._settings.dead_max_events
        if dead >= DEAD_WARNING * cap:
            log.warning(
                "%d dead letters of at most %d (DEAD_MAX_EVENTS), then the edge answers "
                "503: replay or drop them (python -m gateway dead list)",
                dead,
                cap,
            )
