"""Notices when the machine itself stalls: the harness's event loop, through which every command to
a store passes, did not run although it was due.

A stall is a network partition that was not planned. Without it a repeated call on a machine that is
far overloaded would count against the product.
"""

from __future__ import annotations

import asyncio
import time

from loadtest.harness.accounts import Fault

TICK_SECONDS = 0.05
STALL_SECONDS = 0.2  # a tick that is later than this is a stall
STALLED = "the machine stalled"


class StallDetector:
    """stalls: from when the loop should have run until it did."""

    def __init__(self) -> None:
        self.stalls: list[Fault] = []

    async def run(self) -> None:
        """Measure until cancelled."""
        due = time.time()
        while True:
            due += TICK_SECONDS
            await asyncio.sleep(max(0.0, due - time.time()))
            now = time.time()
            if now - due > STALL_SECONDS:
                self.stalls.append(Fault(STALLED, due, now))
            due = now
