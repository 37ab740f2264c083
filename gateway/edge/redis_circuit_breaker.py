"""The circuit breaker between the edge and Redis: one fault opens it, a successful probe closes it.

A process of the edge serves one request at a time (under meinheld), so it must never wait long.
Invariants: after a fault no request waits for Redis until a probe has succeeded; at most one probe
runs per interval; connections from before the fault are never used again (each thread has its own,
and each broken one would cause another fault); unsigned requests make Redis work no more often than
probes do. Thread-safe; the clock is passed in.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from scheduler.errors import RedisUnavailable
from scheduler.events import Acceptance, IncomingEvent
from scheduler.producer import Producer, Readiness

# Shorter: the edge recovers sooner. Longer: a process spends less of its time on probes of a Redis
# that stalls (with these values at most a fifth: 50 ms in each 250 ms).
PROBE_INTERVAL_SECONDS = 0.25
PROBE_TIMEOUT_SECONDS = 0.05
# On a slow disk Redis answers late for as long as the workers write, so short probes would always
# fail although Redis is usable. Once per so many timeouts, a probe may therefore take one whole
# timeout. More: later recovery on such a disk. Fewer: more requests wait for a long probe.
TIMEOUTS_BETWEEN_LONG_PROBES = 8

log = logging.getLogger(__name__)


class RedisCircuitBreaker:
    """The producer behind a circuit that opens at the first fault.

    connect: makes a producer that opens new connections. clock: seconds, monotonic.
    """

    def __init__(self, connect: Callable[[], Producer], clock: Callable[[], float]) -> None:
        self._connect, self._clock = connect, clock
        self._producer = connect()
        # After a restart a burst may meet only new processes. Not done after a fault, where a
        # request would have to wait for it.
        self._producer.warm()
        self._lock = threading.Lock()
        self._tripped = False
        self._next_probe = self._next_long_probe = 0.0
        self._ready: tuple[Readiness, float] | None = None  # and when it expires
        self._faulty_since: float | None = None  # set from the logged fault to the next success

    def accept(self, event: IncomingEvent) -> Acceptance:
        """Make an event durable. Raises ``RedisUnavailable`` unless Redis confirmed it."""
        if self._tripped:
            self._probe()
        producer = self._producer
        try:
            acceptance = producer.accept(event)
        except RedisUnavailable as error:
            self._trip(producer, error)
            raise
        if self._faulty_since is not None:
            self._recovered()
        return acceptance

    def ready(self) -> Readiness:
        """The state of the queue, at most ``PROBE_INTERVAL_SECONDS`` old: the request is unsigned,
        so it must not cause unbounded work. Raises ``RedisUnavailable``."""
        if self._tripped:
            self._probe()
        known = self._ready
        if known is not None and self._clock() < known[1]:
            return known[0]
        producer = self._producer
        try:
            ready = producer.ready()
        except RedisUnavailable as error:
            self._trip(producer, error)
            raise
        self._ready = ready, self._clock() + PROBE_INTERVAL_SECONDS
        return ready

    def _trip(self, producer: Producer, error: RedisUnavailable) -> None:
        with self._lock:
            if producer is not self._producer:
                return  # an old request failed late; a probe has succeeded since then
            now = self._clock()
            self._tripped, self._next_probe = True, now + PROBE_INTERVAL_SECONDS
            self._next_long_probe = now + TIMEOUTS_BETWEEN_LONG_PROBES * producer.timeout_seconds
            if self._faulty_since is not None:
                return
            self._faulty_since = now
        log.error("Redis does not confirm (%s); answering 503 until it does", error)

    def _recovered(self) -> None:
        # Logged at the first successful write, not at the probe: a Redis that answers but refuses
        # writes would otherwise be reported as failed and recovered four times a second.
        with self._lock:
            since, self._faulty_since = self._faulty_since, None
        if since is not None:
            log.warning("Redis confirms again, after %.1f s", self._clock() - since)

    def _probe(self) -> None:
        """Close the circuit. Raises ``RedisUnavailable`` if the probe fails or is not due yet."""
        with self._lock:
            if not self._tripped:
                return
            now = self._clock()
            if now < self._next_probe:
                raise RedisUnavailable("circuit open")
            self._next_probe = now + PROBE_INTERVAL_SECONDS  # only this thread probes
            seconds = PROBE_TIMEOUT_SECONDS
            if now >= self._next_long_probe:
                seconds = self._producer.timeout_seconds
                self._next_long_probe = now + TIMEOUTS_BETWEEN_LONG_PROBES * seconds
        try:
            self._producer.probe(seconds)
        except RedisUnavailable:
            with self._lock:
                self._next_probe = self._clock() + PROBE_INTERVAL_SECONDS
            raise
        with self._lock:
            self._producer = self._connect()
            self._tripped = False
