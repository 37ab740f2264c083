"""Sleep until a wake-up token arrives or a point in time is reached, to the millisecond.

Redis looks at the timeouts of blocked clients ten times a second only, so a BLPOP that ends by its
timeout ends up to 100 ms late. Here one BLPOP stays outstanding while this side keeps the time.
"""

from __future__ import annotations

import time

from scheduler.errors import RedisUnavailable
from scheduler.link import Link

BLOCK_SECONDS = 5  # renews the BLPOP, so that a connection that died silently is noticed


class Doorbell:
    """Waits on one wake list, over a link of its own (nothing else may use that link)."""

    def __init__(self, link: Link, key: str) -> None:
        self._link, self._key = link, key
        self._outstanding = False

    def wait(self, seconds: float) -> bool:
        """True if a token came, False when the time is over. Raises ``RedisUnavailable``."""
        deadline = time.monotonic() + seconds
        while True:
            if not self._outstanding:
                self._link.send("BLPOP", self._key, BLOCK_SECONDS)
                self._outstanding = True
            left = deadline - time.monotonic()
            if left <= 0 or not self._readable(left):
                return False
            self._outstanding = False
            if self._link.receive() is not None:
                return True

    def _readable(self, seconds: float) -> bool:
        try:
            return self._link.readable(seconds)
        except RedisUnavailable:
            self._outstanding = False
            raise
