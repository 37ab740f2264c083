"""The queue's own books over time, twice a second, and a line about them for who watches."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path

from scheduler.inspector import Counters, Inspector

SAMPLE_SECONDS = 0.5
LINE_SECONDS = 2.0


@dataclass(frozen=True)
class Sample:
    """at: seconds since 1970. waiting and in work by lane; the last five are counters."""

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
    def of(cls, books: Counters) -> Sample:
        waiting = {lane: sum(sources.values()) for lane, sources in books.waiting.items()}
        return cls(
            books.now_ms / 1000,
            waiting["lookup"],
            waiting["routing"],
            books.locked["lookup"],
            books.locked["routing"],
            books.retrying,
            books.dead,
            books.count("accepted"),
            books.count("duplicates"),
            books.count("retried"),
            books.count("done"),
        )

    @property
    def open(self) -> int:
        """Accepted, and not at the end."""
        return (
            self.waiting_lookup
            + self.waiting_routing
            + self.working_lookup
            + self.working_routing
            + self.retrying
        )


def write(path: Path, samples: Iterable[Sample]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Sample))
        writer.writerows(astuple(sample) for sample in samples)


@dataclass
class Watch:
    """Takes samples for as long as it is asked to. say: prints a line."""

    inspector: Inspector
    say: Callable[[str], None]
    samples: list[Sample] = field(default_factory=list)
    _next_line: float = 0.0

    def until(self, over: Callable[[Sample], bool], limit: float) -> bool:
        """Whether it was over within ``limit`` seconds."""
        deadline = time.monotonic() + limit
        while True:
            begun = time.monotonic()
            sample = Sample.of(self.inspector.counters())
            self.samples.append(sample)
            end = over(sample)
            if end or begun >= self._next_line:
                self._next_line = begun + LINE_SECONDS
                self.say(line(sample))
            if end or begun > deadline:
                return end
            time.sleep(max(0.0, SAMPLE_SECONDS - (time.monotonic() - begun)))


def line(s: Sample) -> str:
    return (
        f"  accepted {s.accepted:>5}   duplicates {s.duplicates:>4}   done {s.done:>5}   "
        f"waiting {s.waiting_lookup + s.waiting_routing:>4}   calling {s.working_routing:>3}   "
        f"retrying {s.retrying:>3}   retries {s.retried:>4}   dead {s.dead}"
    )
