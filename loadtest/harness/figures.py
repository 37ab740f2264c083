"""The values that benchmarks answer with. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Target:
    """What a figure should be: at least or at most ``limit``."""

    kind: str  # ≥ or ≤
    limit: float

    def met(self, value: float) -> bool:
        return value >= self.limit if self.kind == "≥" else value <= self.limit


def at_least(limit: float) -> Target:
    return Target("≥", limit)


def at_most(limit: float) -> Target:
    return Target("≤", limit)


@dataclass(frozen=True)
class Figure:
    """One measured value. samples: what it is the median of, where it is one."""

    name: str
    value: float
    unit: str
    target: Target | None = None
    samples: tuple[float, ...] = ()

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        return "ok" if self.target.met(self.value) else "short"


@dataclass(frozen=True)
class Section:
    """What one benchmark found. how: the way it was measured; grid: printed instead of figures."""

    name: str
    title: str
    how: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    grid: tuple[tuple[str, ...], ...] = field(default=())


def median(samples: Sequence[float]) -> float:
    """The middle one, or the mean of the two in the middle."""
    ordered = sorted(samples)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` (0 to 1) of them do not exceed; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
