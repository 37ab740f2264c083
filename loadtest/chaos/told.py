"""The book of what clients were told: every answer, to whom, when; which events are promised."""

from __future__ import annotations

from collections import Counter

from loadtest.harness.accounts import Answer, Event


class Told:
    """Written in one event loop; its counts may be read from anywhere."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}
        self.answers: list[Answer] = []
        self.promised: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.last_told = 0.0
        self.longest_silence = (0.0, 0.0)  # seconds without any 2xx, and when that ended

    def announce(self, event: Event) -> None:
        """Before it is sent for the first time."""
        self.events[event.key] = event

    def note(self, answer: Answer) -> None:
        self.answers.append(answer)
        self.counts["unknown" if answer.status is None else str(answer.status)] += 1
        if answer.told:
            self.promised.add(answer.key)
            if self.last_told:
                silence = (answer.answered - self.last_told, answer.answered)
                self.longest_silence = max(self.longest_silence, silence)
            self.last_told = answer.answered

    @property
    def owed(self) -> list[str]:
        """Events that no client has got a 2xx for yet."""
        return [key for key in self.events if key not in self.promised]
