"""What can go wrong with a benchmark itself."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.02


class BenchError(Exception):
    """A run failed; ``str()`` is one line that says why."""


class Missing(BenchError):
    """A tool is not on this machine; ``str()`` names the remedy."""


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until the condition holds. Raises ``BenchError`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(POLL_SECONDS)
