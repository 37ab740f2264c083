"""The history of a run: every event that clients sent, and how each request was answered.

Generators write it, the checker judges by it. It knows nothing of the product.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

ACCEPTED, DUPLICATE = 202, 200
NO_ANSWER = 0
COLUMNS = ("key", "shipment", "status", "at", "ms", "word")


@dataclass(frozen=True, slots=True)
class Event:
    """An event as its courier knows it. status: the canonical one. What a generator does not record
    is empty or None, and is not checked. readable: false where the status is no word of its source,
    so that the event must end among the dead letters."""

    source: str
    id: str
    shipment: str
    status: str = ""
    occurred_at: datetime | None = None
    body: bytes | None = None
    readable: bool = True

    @property
    def key(self) -> str:
        """Its identity in the gateway."""
        return f"{self.source}:{self.id}"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request. status: NO_ANSWER where none came. sent_at: seconds since 1970.
    ms: until the whole answer was there. word: what the body says, or the kind of the error where
    no answer came. client: who sent it. seen_in: the state that Redis had the event in just before
    it was sent again on purpose; else empty."""

    key: str
    shipment: str
    status: int
    sent_at: float
    ms: float
    word: str = ""
    client: str = ""
    seen_in: str = ""

    @property
    def answered_at(self) -> float:
        return self.sent_at + self.ms / 1000

    @property
    def acknowledged(self) -> bool:
        """The client was answered that the event is stored."""
        return self.status in (ACCEPTED, DUPLICATE)


class History:
    """Written by one thread; its counts may be read by any."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}
        self.answers: list[Answer] = []
        self.acknowledged: set[str] = set()
        self.statuses: Counter[int] = Counter()
        self.longest_silence_seconds = 0.0  # between two acknowledgements
        self._last_acknowledgement = 0.0

    def announce(self, event: Event) -> None:
        """Record an event; called before it is sent for the first time."""
        self.events[event.key] = event

    def note(self, answer: Answer) -> None:
        self.answers.append(answer)
        self.statuses[answer.status] += 1
        if answer.acknowledged:
            self.acknowledged.add(answer.key)
            at, last = answer.answered_at, self._last_acknowledgement
            if last:
                self.longest_silence_seconds = max(self.longest_silence_seconds, at - last)
            self._last_acknowledgement = at

    @property
    def unacknowledged(self) -> list[str]:
        return [key for key in self.events if key not in self.acknowledged]


def word_of(body: bytes, key: str) -> str:
    """What an answer says of the event ``key``: its status, or the kind of the problem."""
    try:
        document = json.loads(body)
        if "type" in document:
            return str(document["type"]).rpartition(":")[2]
        if document["id"] != key:
            return f"about another event: {document['id']}"
        return str(document["status"])
    except (ValueError, KeyError, TypeError):
        return f"unreadable: {body[:60]!r}"


def events_of(answers: Iterable[Answer]) -> dict[str, Event]:
    """The events that a generator in another process sent, as far as its answers name them."""

    def event(answer: Answer) -> Event:
        source, _, id = answer.key.partition(":")
        return Event(source, id, answer.shipment)

    return {answer.key: event(answer) for answer in answers}


def _row(answer: Answer) -> tuple[str, ...]:
    sent_at, ms = f"{answer.sent_at:.4f}", f"{answer.ms:.3f}"
    return answer.key, answer.shipment, str(answer.status), sent_at, ms, answer.word


def note(answer: Answer, file: IO[str]) -> None:
    """Append it to a file that is buffered by the line: a locust that is killed loses none."""
    csv.writer(file, lineterminator="\n").writerow(_row(answer))


def read(path: Path) -> list[Answer]:
    with path.open(newline="") as file:
        return [
            Answer(key, shipment, int(status), float(sent_at), float(ms), word)
            for key, shipment, status, sent_at, ms, word in csv.reader(file)
        ]


def write(path: Path, answers: Iterable[Answer]) -> None:
    """For people: with the names of the columns, in the order of sending."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_row(answer) for answer in sorted(answers, key=lambda a: a.sent_at))


def most_at_once(answers: Iterable[Answer]) -> int:
    """The largest number of requests that were under way at the same time."""
    edges = [edge for a in answers for edge in ((a.sent_at, 1), (a.answered_at, -1))]
    most = now = 0
    for _, change in sorted(edges):
        now += change
        most = max(most, now)
    return most
