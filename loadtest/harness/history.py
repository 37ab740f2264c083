"""What clients were told: a line for each answer, written by locust, read by the checker."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import IO

ACCEPTED, DUPLICATE = 202, 200


@dataclass(frozen=True)
class Answer:
    """key: the event's identity. status: 0 where no answer came. at: when it was sent, seconds
    since 1970. ms: until the whole answer was there."""

    key: str
    shipment: str
    status: int
    at: float
    ms: float


def note(answer: Answer, file: IO[str]) -> None:
    """Append it to a file that is buffered by the line: a locust that dies loses none."""
    csv.writer(file, lineterminator="\n").writerow(
        (answer.key, answer.shipment, answer.status, f"{answer.at:.4f}", f"{answer.ms:.3f}")
    )


def read(path: Path) -> list[Answer]:
    with path.open(newline="") as file:
        return [
            Answer(key, shipment, int(status), float(at), float(ms))
            for key, shipment, status, at, ms in csv.reader(file)
        ]


def write(path: Path, answers: Iterable[Answer]) -> None:
    """For people: with the names of the columns, in the order of sending."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Answer))
        writer.writerows(astuple(a) for a in sorted(answers, key=lambda a: a.at))


def most_at_once(answers: Iterable[Answer]) -> int:
    """How many requests were under way at the same time, at the most."""
    edges = [edge for a in answers for edge in ((a.at, 1), (a.at + a.ms / 1000, -1))]
    most = now = 0
    for _, change in sorted(edges):
        now += change
        most = max(most, now)
    return most
