"""The scheduler's loop: make what is due ready, when it is due."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from conf.lifecycle import Stop
from conf.settings import Settings
from scheduler.connection import RedisConnection
from scheduler.constants import DEAD_WARNING_SHARE
from scheduler.errors import RedisUnavailable
from scheduler.events import Promotion
from scheduler.keys import Keys
from scheduler.queue import Queue
from scheduler.wake_up_listener import WakeUpListener

# Also how often the drain rate is measured and tombstones are trimmed; longer makes both coarser.
LONGEST_SLEEP_SECONDS = 1.0
# Between two attempts while Redis is unavailable. Longer: retries resume later after an outage.
OUTAGE_PAUSE_SECONDS = 0.2
DEAD_CHECK_SECONDS = 60.0  # also the time between two warnings of too many dead letters

log = logging.getLogger(__name__)


class Promoter:
    """Runs promote whenever something is due. Several promoters may run at the same time.

    remember_at_least_seconds: least age of a tombstone that is trimmed. clock: seconds, monotonic.
    """

    def __init__(
        self,
        settings: Settings,
        remember_at_least_seconds: float,
        stop: Stop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._stop, self._clock = settings, stop, clock
        self._remember_at_least_seconds = remember_at_least_seconds
        self._queue = Queue(RedisConnection(settings.redis_url))
        self._listener = WakeUpListener(RedisConnection(settings.redis_url), Keys().wake_scheduler)
        # A quarter of the lease at most: promote takes a gap of half a lease for an outage.
        self._longest_sleep_seconds = min(LONGEST_SLEEP_SECONDS, settings.lease_seconds / 4)
        self._unavailable = False
        self._next_dead_check = 0.0

    def run(self) -> None:
        """Promote until the process is to stop. Continues after every outage of Redis."""
        while not self._stop.is_set():
            try:
                due_seconds = self.step().next_due_seconds
                if self._unavailable:
                    self._unavailable = False
                    log.info("Redis answers again")
                if due_seconds != 0:
                    longest = self._longest_sleep_seconds
                    self._listener.wait(
                        longest if due_seconds is None else min(due_seconds, longest)
                    )
            except RedisUnavailable as error:
                if not self._unavailable:
                    self._unavailable = True
                    log.warning("Redis is unavailable (%s): retries wait for it", error)
                self._stop.wait(OUTAGE_PAUSE_SECONDS)

    def step(self) -> Promotion:
        """Run promote once and log what operators need to know."""
        s = self._settings
        done = self._queue.promote(
            lease_seconds=s.lease_seconds,
            max_crashes=s.max_crashes,
            dedup_window_seconds=s.dedup_window_seconds,
            tombstones_max=s.tombstones_max,
            remember_at_least_seconds=self._remember_at_least_seconds,
        )
        if done.expired:
            log.warning("%d locks expired: their holders crashed or hang", done.expired)
        if done.promoted:
            log.debug("%d retries are due", done.promoted)
        self._check_dead_letters()
        return done

    def _check_dead_letters(self) -> None:
        now = self._clock()
        if now < self._next_dead_check:
            return
        self._next_dead_check = now + DEAD_CHECK_SECONDS
        dead = int(self._queue.connection.command("ZCARD", self._queue.keys.dead))
        cap = self._settings.dead_max_events
        if dead >= DEAD_WARNING_SHARE * cap:
            log.warning(
                "%d dead letters; at %d (DEAD_MAX_EVENTS) the edge answers 503: "
                "replay or drop them (python -m gateway dead list)",
                dead,
                cap,
            )
