"""Waiting for a condition, and what a driver raises when its run fails."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.02


class RunFailed(Exception):
    """The run itself failed, so that its figures are worth nothing; ``str()`` is one line."""


class ToolMissing(RunFailed):
    """A tool is not on this machine; ``str()`` names the remedy."""


class WaitTimedOut(RunFailed):
    """A condition did not hold in time."""


def wait_until(
    condition: Callable[[], bool],
    seconds: float,
    what: str | Callable[[], str],
    *,
    poll_seconds: float = POLL_SECONDS,
) -> float:
    """Poll until the condition holds; when that was seen, in seconds since 1970.

    what: completes "waited 5 s for …"; a function where the text is known only at the end. Raises
    ``WaitTimedOut`` after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            text = what if isinstance(what, str) else what()
            raise WaitTimedOut(f"waited {seconds:g} s for {text}")
        time.sleep(poll_seconds)
    return time.time()
