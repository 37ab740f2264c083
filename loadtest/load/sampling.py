"""The counters of the queue over time, twice a second."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path

from loadtest.harness.progress import Every
from loadtest.harness.wait import wait_until
from scheduler.inspector import Counters, Inspector

SAMPLE_SECONDS = 0.5
LINE_SECONDS = 2.0


@dataclass(frozen=True)
class Sample:
    """at: seconds since 1970. waiting and working: by lane. The last four only grow."""

    at: float
    waiting_lookup: int
    waiting_routing: int
    working_lookup: int
    working_routing: int
    retrying: int
    dead: int
    accepted: int
    duplicates: int
    retried: int
    done: int

    @classmethod
    def of(cls, counters: Counters) -> Sample:
        waiting = {lane: sum(sources.values()) for lane, sources in counters.waiting.items()}
        return cls(
            counters.now_ms / 1000,
            waiting["lookup"],
            waiting["routing"],
            counters.locked["lookup"],
            counters.locked["routing"],
            counters.retrying,
            counters.dead,
            counters.count("accepted"),
            counters.count("duplicates"),
            counters.count("retried"),
            counters.count("done"),
        )

    @property
    def unfinished(self) -> int:
        """Accepted, and neither done nor dead."""
        return (
            self.waiting_lookup
            + self.waiting_routing
            + self.working_lookup
            + self.working_routing
            + self.retrying
        )

    def __str__(self) -> str:
        waiting = self.waiting_lookup + self.waiting_routing
        return (
            f"  accepted {self.accepted:>5}   duplicates {self.duplicates:>4}   "
            f"done {self.done:>5}   waiting {waiting:>4}   calling {self.working_routing:>3}   "
            f"retrying {self.retrying:>3}   retries {self.retried:>4}   dead {self.dead}"
        )


def write(path: Path, samples: Iterable[Sample]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Sample))
        writer.writerows(astuple(sample) for sample in samples)


def read(path: Path) -> list[Sample]:
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        return [Sample(float(row.pop("at")), **{n: int(v) for n, v in row.items()}) for row in rows]


@dataclass
class Sampler:
    """say: prints a line."""

    inspector: Inspector
    say: Callable[[str], None]
    samples: list[Sample] = field(default_factory=list)
    _line: Every = field(default_factory=lambda: Every(LINE_SECONDS))

    def until(self, over: Callable[[Sample], bool], seconds: float, what: str) -> None:
        """Take samples until ``over``. Raises ``WaitTimedOut`` after ``seconds``."""

        def sampled() -> bool:
            sample = Sample.of(self.inspector.counters())
            self.samples.append(sample)
            end = over(sample)
            if self._line.due() or end:
                self.say(str(sample))
            return end

        wait_until(sampled, seconds, what, poll_seconds=SAMPLE_SECONDS)
