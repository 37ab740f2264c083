"""The run second by second, as clients saw it and as the queue's books say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadtest.harness.figures import percentile
from loadtest.harness.history import ACCEPTED, DUPLICATE, Answer
from loadtest.load.sampling import Sample

RATE_SECONDS = 2.0  # completions come in volleys, for all calls take 2 s: shorter shows only those


@dataclass(frozen=True)
class Second:
    """Requests by the second they were sent in (from 0). p50, p99: ms until the answer."""

    second: int
    accepted: int
    duplicates: int
    failed: int
    p50: float
    p99: float


def seconds(answers: Iterable[Answer], start: float) -> list[Second]:
    """Only those in which something was sent. start: seconds since 1970."""
    rows: dict[int, list[Answer]] = {}
    for answer in answers:
        rows.setdefault(math.floor(answer.at - start), []).append(answer)
    return [_second(number, rows[number]) for number in sorted(rows)]


def _second(number: int, answers: list[Answer]) -> Second:
    accepted = sum(a.status == ACCEPTED for a in answers)
    duplicates = sum(a.status == DUPLICATE for a in answers)
    times = [a.ms for a in answers]
    return Second(
        number,
        accepted,
        duplicates,
        len(answers) - accepted - duplicates,
        percentile(times, 0.5),
        percentile(times, 0.99),
    )


def rates(samples: Sequence[Sample], counter: str) -> list[tuple[float, float]]:
    """(time, growth of the counter a second) over the RATE_SECONDS before each sample."""
    points = []
    first = 0
    for last, sample in enumerate(samples):
        while sample.at - samples[first].at > RATE_SECONDS and first < last:
            first += 1
        span = sample.at - samples[first].at
        if span > 0:
            growth = getattr(sample, counter) - getattr(samples[first], counter)
            points.append((sample.at, growth / span))
    return points
