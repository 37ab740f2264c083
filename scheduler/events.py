"""The values that the queue takes and returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from scheduler.keys import LaneName

AcceptCode = Literal["accepted", "duplicate", "conflicting", "full", "limited"]


class IncomingEvent(NamedTuple):
    """A verified event as the edge passes it to the queue.

    id: ``<source>:<event id>``. digest: of the body; a duplicate with another one is conflicting.
    secret_label: names the secret that signed it, for the counters. quota_per_second: 0 for none.
    A NamedTuple, because a frozen dataclass takes three times as long to make, and the edge makes
    one for each request.
    """

    id: str
    source: str
    body: bytes
    digest: str
    secret_label: str
    quota_per_second: float = 0
    quota_burst: float = 0


class Acceptance(NamedTuple):
    """What became of an event at the edge.

    code: see ``lua/accept.lua``. backlog: events that are ready, locked or in retry (0 for a
    duplicate). retry_after_seconds: when another request may succeed, 0 if unknown.
    """

    code: AcceptCode
    backlog: int
    retry_after_seconds: float


@dataclass(frozen=True, slots=True)
class Reserved:
    """An event that this process holds the lock of. ``gen`` is the fencing token of the lock.

    Times are ms since 1970 by Redis's clock. attempts: failed ones in this lane. waits: deferrals
    in a row. route: a reply of the Routing Service that is still to be recorded (b"" if none).
    """

    id: str
    gen: str
    lane: LaneName
    source: str
    attempts: int
    waits: int
    crashes: int
    received_at_ms: int
    live_since_ms: int
    route: bytes
    body: bytes

    @property
    def fence(self) -> int:
        return int(self.gen)


@dataclass(frozen=True, slots=True)
class Promotion:
    """What one run of promote did. next_due_seconds: until the next due time (None: nothing)."""

    next_due_seconds: float | None
    promoted: int
    expired: int
    trimmed: int
