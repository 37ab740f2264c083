"""The edge's side of the queue: accept an event, check whether Redis would accept one.

Thread-safe: each thread has its own connection, which its first command opens, so after the fork.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scheduler.accept_command import Caps
from scheduler.connection import RedisConnection
from scheduler.errors import RedisUnavailable
from scheduler.events import Acceptance, IncomingEvent
from scheduler.keys import Keys
from scheduler.queue import Queue
from scheduler.scripts import load


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the queue can accept events.

    durability: what a kill of Redis may lose, from its configuration: ``always`` (nothing),
    ``everysec`` (up to 2 s), ``none`` (everything) or ``unknown``.
    """

    durability: str
    backlog: int
    backlog_bytes: int
    dead: int
    caps: Caps

    @property
    def full(self) -> bool:
        caps = self.caps
        return (
            self.backlog >= caps.max_events
            or self.backlog_bytes >= caps.max_bytes
            or self.dead >= caps.max_dead
        )


class Producer:
    """timeout_seconds: longest wait for a reply of Redis."""

    def __init__(self, url: str, timeout_seconds: float, caps: Caps) -> None:
        self.timeout_seconds = timeout_seconds
        self._url, self._caps = url, caps
        self._keys = Keys()
        self._local = threading.local()

    def _queue(self) -> Queue:
        queue: Queue | None = getattr(self._local, "queue", None)
        if queue is None:
            queue = self._local.queue = Queue(
                RedisConnection(self._url, self.timeout_seconds), self._keys
            )
        return queue

    def warm(self) -> None:
        """Connect this thread and load the script, so that its first event need not wait for it.

        Ignores an unavailable Redis: the first event reports it.
        """
        with contextlib.suppress(RedisUnavailable):
            self._queue().connection.command("SCRIPT", "LOAD", load("accept").text)

    def accept(self, event: IncomingEvent) -> Acceptance:
        """Make an event durable, once. Raises ``RedisUnavailable`` unless Redis confirmed."""
        return self._queue().accept(event, self._caps)

    def probe(self, timeout_seconds: float) -> None:
        """Raises ``RedisUnavailable`` unless Redis answers on a new connection in time."""
        connection = RedisConnection(self._url, timeout_seconds)
        try:
            if connection.command("PING") != b"PONG":
                raise RedisUnavailable("unknown reply")
        finally:
            connection.close()

    def ready(self) -> Readiness:
        """Read within one timeout in all. Raises ``RedisUnavailable``."""
        connection, keys = self._queue().connection, self._keys
        deadline = time.monotonic() + self.timeout_seconds

        def ask(*command: str) -> Any:
            return connection.command(
                *command, timeout_seconds=max(0.001, deadline - time.monotonic())
            )

        gauges = ask("HMGET", keys.stats, "backlog", "backlog_bytes")
        dead = int(ask("ZCARD", keys.dead))
        return Readiness(
            durability(ask), int(gauges[0] or 0), int(gauges[1] or 0), dead, self._caps
        )


def durability(ask: Callable[..., Any]) -> str:
    """What Redis's configuration guarantees; see ``Readiness``. ask: runs a command."""
    try:
        append_only = ask("CONFIG", "GET", "appendonly")
        fsync = ask("CONFIG", "GET", "appendfsync")
    except RedisUnavailable as error:
        if str(error) in ("ERR", "NOPERM"):  # managed servers do not allow CONFIG
            return "unknown"
        raise
    if not append_only or append_only[1] != b"yes":
        return "none"
    policy = str(fsync[1].decode()) if fsync else "unknown"
    return policy if policy in ("always", "everysec") else "none"
