"""Couriers that post event after event while something is unavailable.

Invariant: every request is in the history, whatever became of it. None is repeated.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType

from conf.settings import Settings
from conf.sources.statuses import Status
from loadtest.harness import signed
from loadtest.harness.environment import Environment
from loadtest.harness.history import Answer, History
from loadtest.harness.http_client import Connection

# One for each process of the edge, among which new connections are spread evenly. The pause between
# an answer and the courier's next event rises with them: together they send 100 events a second.
COURIERS = Settings().web_concurrency
PAUSE_SECONDS = 0.01 * COURIERS
MANY = 1_000_000


class ConstantLoad:
    """Runs inside its ``with`` block."""

    def __init__(self, env: Environment, prefix: str, statuses: Sequence[Status]) -> None:
        self.history = History()
        self._url = env.url
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._post, args=(f"{prefix}{n}", statuses, n))
            for n in range(COURIERS)
        ]

    def __enter__(self) -> ConstantLoad:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def acknowledged_since(self, moment: float) -> bool:
        """Whether an event that was sent after ``moment`` got its 2xx."""
        return any(a.acknowledged and a.sent_at > moment for a in self.history.answers[:])

    def _post(self, prefix: str, statuses: Sequence[Status], number: int) -> None:
        connection = Connection(self._url)
        # Each courier has shipments of its own, so that no two update the same one.
        first = number * signed.SHIPMENTS // COURIERS
        for event, body in signed.events(prefix, MANY, statuses, first):
            if self._stop.wait(PAUSE_SECONDS):
                break
            reply = connection.post(signed.request(event, body))
            with self._lock:
                self.history.note(
                    Answer(event.key, event.shipment, reply.status, reply.sent_at, reply.ms)
                )
        connection.close()
