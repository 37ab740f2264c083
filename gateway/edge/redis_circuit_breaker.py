"""Admission: hands events to the queue, and fails fast while Redis does not confirm.

A process of the edge serves one request at a time, so it must never wait long. Invariant: after
one fault no request waits for Redis until a probe has succeeded, at most one probe runs in each
pause, and no connection from before the fault is used after it (each thread has one of its own,
and each stale one would be a fault again). Nobody who has not signed makes Redis work more often
than a probe does. Safe for threads; the clock is passed in.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from scheduler.errors import RedisUnavailable
from scheduler.events import Acceptance
from scheduler.producer import Readiness

# Shorter: back sooner after a fault. Longer: less of a process's time goes into probing a Redis
# that stalls (here at most a fifth of it: 50 ms in each 250).
PAUSE_SECONDS = 0.25
PROBE_SECONDS = 0.05
# Where the disk is slow, Redis answers late for as long as the workers write, and quick probes
# would never see that it is fit to use. So one probe in so many timeouts may last a whole one.
# More: later back on such a disk. Fewer: one request in them waits.
PATIENCE = 8

log = logging.getLogger(__name__)


class Producer(Protocol):
    """The queue as the edge sees it. All raise ``RedisUnavailable`` unless Redis confirmed."""

    @property
    def timeout(self) -> float:
        """Seconds it waits for Redis."""

    def accept(
        self,
        id: str,
        source: str,
        body: bytes,
        digest: str,
        secret: str,
        quota_per_second: float,
        quota_burst: float,
    ) -> Acceptance: ...

    def warm(self) -> None:
        """Get ready for the first event. It raises nothing."""

    def probe(self, timeout: float) -> None: ...

    def ready(self) -> Readiness: ...


class RedisCircuitBreaker:
    """The queue behind a circuit that opens at the first fault.

    connect: makes an intake whose connections are all new.
    """

    def __init__(self, connect: Callable[[], Producer], clock: Callable[[], float]) -> None:
        self._connect, self._clock = connect, clock
        self._intake = connect()
        # All processes are new when a burst meets them after a restart. Only here: after a fault
        # somebody's request would wait for it.
        self._intake.warm()
        self._lock = threading.Lock()
        self._open = False
        self._next_probe = self._next_patient = 0.0
        # And until when it is fresh; it is not any more when a circuit closes that was open.
        self._ready: tuple[Readiness, float] | None = None
        self._faulty_since: float | None = None  # said in the log, and not yet taken back

    def accept(
        self,
        id: str,
        source: str,
        body: bytes,
        digest: str,
        secret: str,
        quota_per_second: float,
        quota_burst: float,
    ) -> Acceptance:
        """Make an event durable. Raises ``RedisUnavailable`` unless Redis confirmed it."""
        if self._open:
            self._probe()
        intake = self._intake
        try:
            acceptance = intake.accept(
                id, source, body, digest, secret, quota_per_second, quota_burst
            )
        except RedisUnavailable as error:
            self._trip(intake, error)
            raise
        if self._faulty_since is not None:
            self._recovered()
        return acceptance

    def ready(self) -> Readiness:
        """What the queue says of itself, now or ``PAUSE_SECONDS`` ago: anybody may ask.

        Raises ``RedisUnavailable``.
        """
        if self._open:
            self._probe()
        known = self._ready
        if known is not None and self._clock() < known[1]:
            return known[0]
        intake = self._intake
        try:
            ready = intake.ready()
        except RedisUnavailable as error:
            self._trip(intake, error)
            raise
        self._ready = ready, self._clock() + PAUSE_SECONDS
        return ready

    def _trip(self, intake: Producer, error: RedisUnavailable) -> None:
        with self._lock:
            if intake is not self._intake:
                return  # a late echo of a fault that a probe has since found mended
            now = self._clock()
            self._open, self._next_probe = True, now + PAUSE_SECONDS
            self._next_patient = now + PATIENCE * intake.timeout
            if self._faulty_since is not None:
                return
            self._faulty_since = now
        log.error("Redis does not confirm (%s); answering 503 until it does", error)

    def _recovered(self) -> None:
        # Said at the first write, not at the probe: a Redis that answers but refuses writes would
        # otherwise be reported as gone and back four times a second.
        with self._lock:
            since, self._faulty_since = self._faulty_since, None
        if since is not None:
            log.warning("Redis confirms again, after %.1f s", self._clock() - since)

    def _probe(self) -> None:
        """Close the circuit. Raises ``RedisUnavailable`` if Redis is not back, or it is not yet
        time to ask."""
        with self._lock:
            if not self._open:
                return
            now = self._clock()
            if now < self._next_probe:
                raise RedisUnavailable("circuit open")
            self._next_probe = now + PAUSE_SECONDS  # this thread asks; the others do not
            seconds = PROBE_SECONDS
            if now >= self._next_patient:
                seconds = self._intake.timeout
                self._next_patient = now + PATIENCE * seconds
        try:
            self._intake.probe(seconds)
        except RedisUnavailable:
            with self._lock:
                self._next_probe = self._clock() + PAUSE_SECONDS
            raise
        with self._lock:
            self._intake = self._connect()
            self._open = False
