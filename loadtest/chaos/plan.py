"""What happens when: a pure function of the seed, so that a run can be told by its number.

Invariant: every kind of fault comes up as often as its weight says, in a shuffled order. A deck of
40 cards is dealt anew every 40 faults; so even a run of 40 s holds every kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

# Kind -> cards in the deck. A restart of everything takes seconds: one in forty is enough.
KILL_EDGE_WORKER = "kill gunicorn worker"
KILL_EDGE_MASTER = "kill gunicorn master"
KILL_LOOKUP = "kill lookup worker"
KILL_ROUTING = "kill routing worker"
KILL_SCHEDULER = "kill scheduler"
KILL_REDIS = "kill redis-server"
KILL_MONGOD = "kill mongod"
KILL_SUPERVISORD = "kill supervisord, make up"
FREEZE = "freeze worker beyond its lease"
CUT_REDIS = "cut every Redis connection"
CUT_MONGO = "cut every Mongo connection"
HOLE_REDIS = "black-hole Redis"
HOLE_MONGO = "black-hole Mongo"
FULL_REDIS = "Redis at maxmemory"
DECK: Mapping[str, int] = {
    KILL_EDGE_WORKER: 4,
    KILL_EDGE_MASTER: 2,
    KILL_LOOKUP: 4,
    KILL_ROUTING: 5,
    KILL_SCHEDULER: 3,
    KILL_REDIS: 4,
    KILL_MONGOD: 3,
    KILL_SUPERVISORD: 1,
    FREEZE: 3,
    CUT_REDIS: 3,
    CUT_MONGO: 2,
    HOLE_REDIS: 2,
    HOLE_MONGO: 2,
    FULL_REDIS: 2,
}
# How long those last that last, in seconds. Mongo's driver is patient for up to 5.
LASTS = {FREEZE: (1.0, 3.0), HOLE_REDIS: (0.5, 4.0), HOLE_MONGO: (0.5, 6.0), FULL_REDIS: (1.0, 4.0)}
GAP = (0.6, 1.4)  # seconds between two faults

_FAIR = {"latency_ms": 100, "jitter_ms": 200}
# What the Routing Service is like, in turns. None of it is its healthy self for long.
WEATHER: tuple[Mapping[str, Any], ...] = (
    {},
    {"fail_ratio": 0.4, "fail_status": 500},
    {"hang_ratio": 0.15},
    {"reset_ratio": 0.3},
    {"garbage_ratio": 0.3},
    {"fail_ratio": 0.3, "fail_status": 429, "retry_after": 1},
    {"fail_ratio": 0.1, "fail_status": 400},  # permanent: these events die
    {"outage": True},
    {"capacity": 4},
    {"hang_ratio": 0.05, "reset_ratio": 0.1, "garbage_ratio": 0.1, "fail_ratio": 0.1},
)
WEATHER_LASTS = (1.5, 4.0)


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault to come. at: seconds from the start. pick: from 0 to 1, which of the processes of
    its kind is hit. seconds: how long it lasts, beyond a lease for a frozen worker; else 0."""

    at: float
    kind: str
    pick: float
    seconds: float


def faults(seed: int, duration: float) -> list[Planned]:
    """The faults of a run of ``duration`` seconds, in order."""
    rng = Random(f"faults {seed}")
    planned: list[Planned] = []
    deck: list[str] = []
    at = rng.uniform(*GAP)
    while at < duration:
        if not deck:
            deck = [kind for kind, cards in DECK.items() for _ in range(cards)]
            rng.shuffle(deck)
        kind = deck.pop()
        seconds = rng.uniform(*LASTS[kind]) if kind in LASTS else 0.0
        planned.append(Planned(at, kind, rng.random(), seconds))
        at += rng.uniform(*GAP)
    return planned


def weather(seed: int, duration: float) -> list[tuple[float, dict[str, Any]]]:
    """From which second on the Routing Service behaves how; fair again at the end."""
    rng = Random(f"weather {seed}")
    turns: list[tuple[float, dict[str, Any]]] = []
    deck: list[Mapping[str, Any]] = []
    at = 0.0
    while at < duration:
        if not deck:
            deck = rng.sample(WEATHER, len(WEATHER))
        foul = deck.pop()
        turns.append((at, {**_FAIR, **foul, "seed": rng.randrange(1_000_000)}))
        at += rng.uniform(*WEATHER_LASTS)
        turns.append((at, dict(_FAIR)))  # a fair spell after each, or nothing would ever be done
        at += rng.uniform(*WEATHER_LASTS) / 2
    return [*(turn for turn in turns if turn[0] < duration), (duration, dict(_FAIR))]
