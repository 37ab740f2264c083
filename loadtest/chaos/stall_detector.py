"""Notices when the machine itself stands still: the harness's loop, through which every command to
a store passes, did not run although it was due.

A stall is a black hole that nobody planned. Without it a repeated call on a machine that is far
overloaded would be held against the product.
"""

from __future__ import annotations

import asyncio
import time

from loadtest.harness.accounts import Fault

BEAT_SECONDS = 0.05
LATE_SECONDS = 0.2  # from here on it is a stall
STALLED = "the machine stood still"


class Pulse:
    """stalls: when the loop should have run, and when it did."""

    def __init__(self) -> None:
        self.stalls: list[Fault] = []

    async def run(self) -> None:
        """Until cancelled."""
        due = time.time()
        while True:
            due += BEAT_SECONDS
            await asyncio.sleep(max(0.0, due - time.time()))
            now = time.time()
            if now - due > LATE_SECONDS:
                self.stalls.append(Fault(STALLED, due, now))
            due = now
