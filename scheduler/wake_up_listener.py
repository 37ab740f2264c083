"""Sleep until a wake-up token arrives or a point in time is reached, to the millisecond.

Redis looks at the timeouts of blocked clients ten times a second only, so a BLPOP that ends by its
timeout ends up to 100 ms late. Here one BLPOP stays outstanding while this side keeps the time.
"""

from __future__ import annotations

import time

from scheduler.connection import RedisConnection
from scheduler.errors import RedisUnavailable

BLOCK_SECONDS = 5.0  # how long one BLPOP stays outstanding
GRACE_SECONDS = 2.0  # a reply that is later than that will not come: the connection died silently


class WakeUpListener:
    """Waits on one wake list, over a link of its own (nothing else may use that link).

    block, grace: seconds; see the constants.
    """

    def __init__(
        self,
        link: RedisConnection,
        key: str,
        *,
        block: float = BLOCK_SECONDS,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._link, self._key, self._block, self._grace = link, key, block, grace
        self._outstanding = False
        self._overdue = 0.0  # when to give up on the outstanding reply

    def wait(self, seconds: float) -> bool:
        """True if a token came, False when the time is over. Raises ``RedisUnavailable``."""
        deadline = time.monotonic() + seconds
        while True:
            if not self._outstanding:
                self._link.send("BLPOP", self._key, self._block)
                self._outstanding = True
                self._overdue = time.monotonic() + self._block + self._grace
            now = time.monotonic()
            if deadline <= now:
                return False
            if self._readable(max(0.0, min(deadline, self._overdue) - now)):
                self._outstanding = False
                if self._link.receive() is not None:
                    return True
            elif time.monotonic() >= self._overdue:
                self._outstanding = False
                self._link.close()
                raise RedisUnavailable("no reply")

    def _readable(self, seconds: float) -> bool:
        try:
            return self._link.readable(seconds)
        except RedisUnavailable:
            self._outstanding = False
            raise
