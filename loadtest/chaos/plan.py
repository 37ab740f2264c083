"""What happens when: pure functions of the seed, so that a run can be repeated by its number.

Invariant: every kind of fault is as frequent as its weight says, in a shuffled order. Every 40
faults hold each kind as often as it weighs; so even a run of 40 s holds every kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from loadtest.harness import fault_kinds as kinds

# Kind -> times in 40 faults. A restart of everything takes seconds: one in forty is enough.
WEIGHTS: Mapping[str, int] = {
    kinds.KILL_EDGE_WORKER: 4,
    kinds.KILL_EDGE_MASTER: 2,
    kinds.KILL_LOOKUP: 4,
    kinds.KILL_ROUTING: 5,
    kinds.KILL_SCHEDULER: 3,
    kinds.KILL_REDIS: 4,
    kinds.KILL_MONGOD: 3,
    kinds.KILL_SUPERVISORD: 1,
    kinds.FREEZE: 3,
    kinds.RESET_REDIS: 3,
    kinds.RESET_MONGO: 2,
    kinds.PARTITION_REDIS: 2,
    kinds.PARTITION_MONGO: 2,
    kinds.FULL_REDIS: 2,
}
# Shortest and longest duration, in seconds; the other kinds are over at once. MongoDB's driver
# waits for up to 5 s.
DURATIONS = {
    kinds.FREEZE: (1.0, 3.0),
    kinds.PARTITION_REDIS: (0.5, 4.0),
    kinds.PARTITION_MONGO: (0.5, 6.0),
    kinds.FULL_REDIS: (1.0, 4.0),
}
GAP_SECONDS = (0.6, 1.4)  # between two faults

HEALTHY = {"latency_ms": 100, "jitter_ms": 200}
# How the Routing Service misbehaves, for a few seconds each.
MISBEHAVIOURS: tuple[Mapping[str, Any], ...] = (
    {},
    {"fail_ratio": 0.4, "fail_status": 500},
    {"hang_ratio": 0.15},
    {"reset_ratio": 0.3},
    {"garbage_ratio": 0.3},
    {"fail_ratio": 0.3, "fail_status": 429, "retry_after": 1},
    {"fail_ratio": 0.1, "fail_status": 400},  # permanent: these events are dead-lettered
    {"outage": True},
    {"capacity": 4},
    {"hang_ratio": 0.05, "reset_ratio": 0.1, "garbage_ratio": 0.1, "fail_ratio": 0.1},
)
MISBEHAVIOUR_SECONDS = (1.5, 4.0)


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault to come. at: seconds from the start. pick: from 0 to 1, which of the processes of its
    kind is hit. seconds: its duration, for a frozen worker beyond its lease; else 0."""

    at: float
    kind: str
    pick: float
    seconds: float


def faults(seed: int, duration_seconds: float) -> list[Planned]:
    """The faults of a run, in order."""
    rng = Random(f"faults {seed}")
    planned: list[Planned] = []
    pending: list[str] = []
    at = rng.uniform(*GAP_SECONDS)
    while at < duration_seconds:
        if not pending:
            pending = [kind for kind, weight in WEIGHTS.items() for _ in range(weight)]
            rng.shuffle(pending)
        kind = pending.pop()
        seconds = rng.uniform(*DURATIONS[kind]) if kind in DURATIONS else 0.0
        planned.append(Planned(at, kind, rng.random(), seconds))
        at += rng.uniform(*GAP_SECONDS)
    return planned


def routing(seed: int, duration_seconds: float) -> list[tuple[float, dict[str, Any]]]:
    """The fault schedule of the Routing Service: from which second on it behaves how. It is healthy
    after each misbehaviour, or no event would ever be done, and at the end."""
    # The text is part of the seed: with another one every schedule would be another.
    rng = Random(f"weather {seed}")
    schedule: list[tuple[float, dict[str, Any]]] = []
    pending: list[Mapping[str, Any]] = []
    at = 0.0
    while at < duration_seconds:
        if not pending:
            pending = rng.sample(MISBEHAVIOURS, len(MISBEHAVIOURS))
        schedule.append((at, {**HEALTHY, **pending.pop(), "seed": rng.randrange(1_000_000)}))
        at += rng.uniform(*MISBEHAVIOUR_SECONDS)
        schedule.append((at, dict(HEALTHY)))
        at += rng.uniform(*MISBEHAVIOUR_SECONDS) / 2
    return [
        *(entry for entry in schedule if entry[0] < duration_seconds),
        (duration_seconds, dict(HEALTHY)),
    ]
