"""The circuit breaker of routing calls: one for all worker processes, with its state in Redis.

While it is not closed, a call needs a permit. Neither a failed probe nor a deferral consumes an
attempt, so no event is dead-lettered because of an outage, however long.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from scheduler.connection import RedisConnection
from scheduler.keys import Keys
from scheduler.resp_transport import Arg
from scheduler.scripts import load

State = Literal["closed", "open", "half_open"]
Verdict = Literal["good", "bad", "unused"]


@dataclass(frozen=True)
class BreakerPolicy:
    """When the breaker opens, and for how long.

    min_calls, ratio: it opens when so many calls ended within ``BREAKER_WINDOW_SECONDS`` and this
    share of them failed. The pause before the next probe doubles from the first to the longest.
    """

    min_calls: int = 20
    ratio: float = 0.6
    first_pause_seconds: float = 5.0
    longest_pause_seconds: float = 60.0


@dataclass(frozen=True)
class Permits:
    """permits: names of allowed probes; while closed none are needed. wait_seconds: until a probe
    is allowed, 0 if it is allowed now."""

    state: State
    wait_seconds: float
    permits: tuple[str, ...] = ()


class Breaker:
    """Belongs to one thread, like its ``RedisConnection``. Methods raise ``RedisUnavailable``."""

    def __init__(
        self, connection: RedisConnection, policy: BreakerPolicy, keys: Keys | None = None
    ) -> None:
        self._connection, self._policy = connection, policy
        keys = keys or Keys()
        self._keys = [keys.breaker, keys.probes]

    def ask(self, wanted: int, *, lifetime_seconds: float, holder: str) -> Permits:
        """Up to ``wanted`` permits, which expire after ``lifetime_seconds`` unless reported."""
        args: list[Arg] = [holder, wanted, round(lifetime_seconds * 1000)]
        state, wait_ms, *permits = self._connection.run(load("breaker_permit"), self._keys, args)
        return Permits(_state(state), wait_ms / 1000, tuple(p.decode() for p in permits))

    def report(self, good: int, bad: int, permits: Iterable[tuple[str, Verdict]] = ()) -> Permits:
        """Report calls without a permit (good and bad: how many) and what became of permits."""
        p = self._policy
        args: list[Arg] = [
            good,
            bad,
            p.min_calls,
            p.ratio,
            round(p.first_pause_seconds * 1000),
            round(p.longest_pause_seconds * 1000),
        ]
        args += [part for pair in permits for part in pair]
        state, wait_ms = self._connection.run(load("breaker_report"), self._keys, args)
        return Permits(_state(state), float(wait_ms) / 1000)


def _state(raw: bytes) -> State:
    text = raw.decode()
    return "open" if text == "open" else "half_open" if text == "half_open" else "closed"
