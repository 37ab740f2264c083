"""What the checker says of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtest.harness.repeats import Repeat

# What a problem means for the client.
SEVERITIES = LOST, DOUBLED, WRONG = "lost", "doubled", "wrong"
SHOWN = 10  # problems that ``Verdict.lines`` spells out


@dataclass(frozen=True, slots=True)
class Problem:
    """severity: LOST, DOUBLED or WRONG. key, shipment: what it was found on, or empty."""

    severity: str
    text: str
    key: str = ""
    shipment: str = ""

    def __str__(self) -> str:
        subject = self.key or self.shipment or "the counters"
        return f"{self.severity.upper()}: {subject}: {self.text}"


@dataclass
class Verdict:
    """dead: reason -> ids."""

    problems: list[Problem]
    repeats: list[Repeat] = field(default_factory=list)
    dead: Mapping[str, list[str]] = field(default_factory=dict)

    def of(self, severity: str) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == severity]

    def lines(self) -> list[str]:
        """The problems for people, most severe first."""
        ordered = sorted(self.problems, key=lambda p: SEVERITIES.index(p.severity))
        more = len(ordered) - SHOWN
        return [*map(str, ordered[:SHOWN]), *([f"… and {more} more problems"] if more > 0 else [])]
