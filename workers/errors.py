"""What can go wrong with an event in work, named for what may be done about it."""

from __future__ import annotations

from typing import Any


class Malformed(Exception):
    """The body lacks what its source's table promises. No retry mends it."""


class Ignored(Exception):
    """The courier's status says nothing about where a shipment stands, as its source's table has
    it: nothing is to be done. ``facts`` is what the ledger writes down."""

    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__(str(facts))
        self.facts = facts


class Transient(Exception):
    """The attempt failed and another may succeed.

    retry_after: seconds that the other side asked to wait (0: it did not say). pushback: it is
    overloaded or slow, so fewer calls at once would help.
    """

    def __init__(self, message: str, retry_after: float = 0, pushback: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.pushback = pushback


class Permanent(Exception):
    """The attempt failed and every other will fail the same way."""


class StoreUnavailable(Exception):
    """MongoDB cannot be reached or does not confirm. Nothing is wrong with the event."""


class AlreadyDone(Exception):
    """The ledger says that this event was finished before: nothing is left to do."""


class FenceRaised(Exception):
    """The ledger has seen a higher fencing token than the caller's: its lock is another's by now,
    or Redis was emptied and its clock stands behind. ``fence`` is the token that it has seen."""

    def __init__(self, fence: int) -> None:
        super().__init__(f"fence {fence}")
        self.fence = fence


class LostFence(Exception):
    """A conditional write found that another holder has taken over. Touch nothing more."""
