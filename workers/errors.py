"""What can go wrong with an event in work, named for what may be done about it."""

from __future__ import annotations

from typing import Any


class Malformed(Exception):
    """The body lacks what its source's table requires. Not retryable."""


class Ignored(Exception):
    """The source's table ignores the courier's status, so no shipment changes. ``ledger_fields`` is
    what the ledger records about the event."""

    def __init__(self, ledger_fields: dict[str, Any]) -> None:
        super().__init__(str(ledger_fields))
        self.ledger_fields = ledger_fields


class Transient(Exception):
    """The attempt failed and another may succeed.

    retry_after_seconds: the wait that the service asked for, 0 if none. pushback: the service is
    overloaded or slow, so fewer calls at once would help.
    """

    def __init__(
        self, message: str, retry_after_seconds: float = 0, pushback: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.pushback = pushback


class Permanent(Exception):
    """The attempt failed and every other would fail the same way."""


class StoreUnavailable(Exception):
    """MongoDB cannot be reached or does not confirm a write. The event is not at fault."""


class AlreadyDone(Exception):
    """The ledger has the event as done: nothing is left to do."""


class FenceRaised(Exception):
    """The ledger has a higher fencing token than the caller's: another process holds the lock, or
    Redis was emptied and its clock is behind. ``fence`` is the token in the ledger."""

    def __init__(self, fence: int) -> None:
        super().__init__(f"fence {fence}")
        self.fence = fence


class LostFence(Exception):
    """A conditional write found that another holder has taken over. The caller must change nothing
    more."""
