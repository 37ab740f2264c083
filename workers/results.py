"""What a lane's steps conclude; ``finish`` turns it into the one verb that says so to the queue."""

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
    """The lookup lane is through; the route follows."""


@dataclass(frozen=True, slots=True)
class Retry:
    """A failed attempt; the next is in ``delay`` seconds."""

    delay: float
    error: str


@dataclass(frozen=True, slots=True)
class Defer:
    """No attempt was burnt; try again in ``delay`` seconds. See ``Queue.defer``."""

    delay: float
    reason: str
    fence: int | None = None
    route: bytes = b""


@dataclass(frozen=True, slots=True)
class Bury:
    """Hopeless. attempts: 1 if this attempt is to be counted."""

    reason: str
    error: str = ""
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Nothing:
    """The lock is another's: there is nothing to say."""


Result = Done | Forward | Retry | Defer | Bury | Nothing


def finish(queue: Queue, event: Reserved, result: Result) -> None:
    """Tell the queue. Raises ``NotHolder`` and ``RedisUnavailable`` as its verbs do."""
    match result:
        case Done(outcome):
            queue.done(event, outcome)
        case Forward():
            queue.forward(event)
        case Retry(delay, error):
            queue.retry(event, delay, error)
        case Defer(delay, reason, fence, route):
            queue.defer(event, delay, reason, fence=fence, route=route)
        case Bury(reason, error, attempts):
            queue.bury(event, reason, error, attempts=attempts)
        case Nothing():
            pass
