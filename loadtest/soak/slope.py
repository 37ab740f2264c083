"""How fast something grows: the slope of a straight line through its samples. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from loadtest.harness.wait import RunFailed

PER = 100_000  # events
WARM_UP = 0.2  # of the events: interpreters, pools and caches take their share of memory first
SAMPLES_MIN = 5  # for a line

Point = tuple[float, float]


def slope(points: Iterable[Point]) -> float:
    """The slope of the least-squares line. Raises ``RunFailed`` for too few
    points, or ones that all have the same x."""
    points = list(points)
    if len(points) < SAMPLES_MIN:
        raise RunFailed(f"{len(points)} samples are too few for a slope")
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if spread == 0:
        raise RunFailed("all samples were taken at the same count of events")
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


@dataclass
class Growth:
    """Resident memory of every process over the events done."""

    events: int
    _found: dict[tuple[str, int], list[Point]] = field(default_factory=dict)
    _samples: int = 0

    def note(self, done: int, resident: Mapping[tuple[str, int], float]) -> None:
        """A sample: (kind, pid) -> MiB."""
        self._samples += 1
        for process, mib in resident.items():
            self._found.setdefault(process, []).append((done, mib))

    def restarted(self) -> list[str]:
        """Processes that some sample lacks: one that leaks and is restarted shows no growth."""
        return [
            f"{kind} {pid}"
            for (kind, pid), points in self._found.items()
            if len(points) < self._samples
        ]

    def kinds(self) -> list[str]:
        return list(dict.fromkeys(kind for kind, _ in self._found))

    def slopes(self, kind: str) -> tuple[float, ...]:
        """MiB each 100,000 events, of each process of the kind, after the warm-up."""
        return tuple(
            PER * slope(self._warm(points))
            for (one, _), points in self._found.items()
            if one == kind
        )

    def last(self, kind: str) -> float:
        """MiB of the largest of the kind, at the end."""
        return max(points[-1][1] for (one, _), points in self._found.items() if one == kind)

    def _warm(self, points: Sequence[Point]) -> list[Point]:
        return [(x, y) for x, y in points if x >= WARM_UP * self.events]
