"""Sleep until a wake-up token arrives or a deadline is reached, to the millisecond.

Redis checks the timeouts of blocked clients ten times a second, so a BLPOP that ends by its timeout
ends up to 100 ms late. The listener keeps one BLPOP outstanding and measures the time itself.
"""

from __future__ import annotations

import time

from scheduler.connection import RedisConnection
from scheduler.errors import RedisUnavailable

BLOCK_SECONDS = 5.0  # timeout of each BLPOP. Longer: a dead connection is noticed later.
GRACE_SECONDS = 2.0  # a reply that is later than this never comes: the connection is dead


class WakeUpListener:
    """Waits on one wake list. The connection must not be used for anything else."""

    def __init__(
        self,
        connection: RedisConnection,
        key: str,
        *,
        block_seconds: float = BLOCK_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._connection, self._key = connection, key
        self._block_seconds, self._grace_seconds = block_seconds, grace_seconds
        self._outstanding = False
        self._overdue_at = 0.0  # monotonic; when the outstanding reply is given up

    def wait(self, seconds: float) -> bool:
        """True if a token arrived, False after ``seconds``. Raises ``RedisUnavailable``."""
        deadline = time.monotonic() + seconds
        while True:
            if not self._outstanding:
                self._connection.send("BLPOP", self._key, self._block_seconds)
                self._outstanding = True
                self._overdue_at = time.monotonic() + self._block_seconds + self._grace_seconds
            now = time.monotonic()
            if deadline <= now:
                return False
            if self._readable(max(0.0, min(deadline, self._overdue_at) - now)):
                self._outstanding = False
                if self._connection.receive() is not None:
                    return True
            elif time.monotonic() >= self._overdue_at:
                self._outstanding = False
                self._connection.close()
                raise RedisUnavailable("no reply")

    def _readable(self, seconds: float) -> bool:
        try:
            return self._connection.readable(seconds)
        except RedisUnavailable:
            self._outstanding = False
            raise
