"""How an attempt at an event ends; ``finish`` passes it to the queue as one verb."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.events import Reserved
from scheduler.queue import Queue


@dataclass(frozen=True, slots=True)
class Done:
    """The ledger is closed with this outcome."""

    outcome: str


@dataclass(frozen=True, slots=True)
class Forward:
    """The lookup lane is finished; the routing lane follows."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The attempt failed and is counted; the next one follows."""

    delay_seconds: float
    error: str


@dataclass(frozen=True, slots=True)
class Defer:
    """Try again later; the attempt is not counted. fence and route: see ``Queue.defer``."""

    delay_seconds: float
    reason: str
    fence: int | None = None
    route: bytes = b""


@dataclass(frozen=True, slots=True)
class Bury:
    """Dead-letter the event. attempts: 1 if this attempt is counted."""

    reason: str
    error: str = ""
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class NoAction:
    """Another process holds the lock: this one must not change the event."""


Result = Done | Forward | Retry | Defer | Bury | NoAction


def finish(queue: Queue, event: Reserved, result: Result) -> None:
    """Raises ``NotHolder`` and ``RedisUnavailable``, as the queue's verbs do."""
    match result:
        case Done(outcome):
            queue.done(event, outcome)
        case Forward():
            queue.forward(event)
        case Retry(delay_seconds, error):
            queue.retry(event, delay_seconds, error)
        case Defer(delay_seconds, reason, fence, route):
            queue.defer(event, delay_seconds, reason, fence=fence, route=route)
        case Bury(reason, error, attempts):
            queue.bury(event, reason, error, attempts=attempts)
        case NoAction():
            pass
