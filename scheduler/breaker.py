"""The routing breaker: one for all worker processes, its state in Redis (see the two Lua files).

While it is not closed nobody calls without a permit. Neither a probe nor a deferral burns an
attempt, so an outage of any length sends nothing to the dead letters.
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
    """min_calls and ratio judge a window of 10 s; pauses (seconds) double from first to last."""

    min_calls: int = 20
    ratio: float = 0.6
    first_pause_seconds: float = 5.0
    longest_pause_seconds: float = 60.0


@dataclass(frozen=True)
class Permits:
    """permits: names of allowed probes; none are needed while closed. wait: seconds until the
    breaker lets anybody try, 0 if it does now."""

    state: State
    wait_seconds: float
    permits: tuple[str, ...] = ()


class Breaker:
    """Asks and tells Redis; belongs to one thread, as its ``RedisConnection`` does."""

    def __init__(
        self, connection: RedisConnection, policy: BreakerPolicy, keys: Keys | None = None
    ) -> None:
        self._connection, self._policy = connection, policy
        keys = keys or Keys()
        self._keys = [keys.breaker, keys.probes]

    def ask(self, wanted: int, *, lifetime_seconds: float, holder: str) -> Permits:
        """Up to ``wanted`` permits that end after ``life`` seconds unless reported before."""
        args: list[Arg] = [wanted, round(lifetime_seconds * 1000), holder]
        state, wait, *permits = self._connection.run(load("breaker_permit"), self._keys, args)
        return Permits(_state(state), wait / 1000, tuple(p.decode() for p in permits))

    def report(self, good: int, bad: int, permits: Iterable[tuple[str, Verdict]] = ()) -> Permits:
        """How calls without a permit went (counts) and what became of permits."""
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
        state, wait = self._connection.run(load("breaker_report"), self._keys, args)
        return Permits(_state(state), float(wait) / 1000)


def _state(raw: bytes) -> State:
    text = raw.decode()
    return "open" if text == "open" else "half_open" if text == "half_open" else "closed"
