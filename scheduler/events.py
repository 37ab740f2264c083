"""The values that the queue hands out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from scheduler.keys import LaneName

AcceptCode = Literal["accepted", "duplicate", "conflicting", "full", "limited"]


class Acceptance(NamedTuple):
    """What became of an event at the edge.

    code: see ``lua/accept.lua``. backlog: events waiting, locked or retrying (0 where it was not
    looked at). retry_after_seconds: seconds after which another try may succeed, 0 where unknown.
    """

    code: AcceptCode
    backlog: int
    retry_after_seconds: float


@dataclass(frozen=True, slots=True)
class Reserved:
    """An event in the hands of its holder. ``gen`` is the fencing token of this reservation.

    Times are ms since 1970 by Redis's clock. attempts: failed ones in this lane; waits: deferrals
    in a row; route: an answer of the Routing Service that is still to be recorded (b"" if none).
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
