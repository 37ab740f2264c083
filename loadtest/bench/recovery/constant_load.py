"""Couriers that post event after event while something is away, and note how each was answered.

Invariant: what was sent is noted, whatever became of it: a request that no answer came to has
status 0. None is repeated.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from urllib.parse import urlsplit

from conf.sources.statuses import Status
from loadtest.harness import signed
from loadtest.harness.environment import Environment
from loadtest.harness.history import Answer

COURIERS = 8  # twice the processes of the edge: each of them is asked all the time
PAUSE_SECONDS = 0.08  # of a courier, between an answer and its next event
PATIENCE_SECONDS = 10.0  # ten times what an answer may take
MANY = 1_000_000


class Couriers:
    """Under way inside its ``with`` block. answers: those of all, in the order of their arrival."""

    def __init__(self, env: Environment, prefix: str, statuses: Sequence[Status]) -> None:
        self.answers: list[Answer] = []
        self._address = urlsplit(env.url)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._post, args=(f"{prefix}{n}", statuses, n))
            for n in range(COURIERS)
        ]

    def __enter__(self) -> Couriers:
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

    def taken(self, since: float) -> bool:
        """Whether an event that was sent since then got its 2xx."""
        return any(answer.status // 100 == 2 and answer.at > since for answer in self.answers[:])

    def _post(self, prefix: str, statuses: Sequence[Status], number: int) -> None:
        connection = http.client.HTTPConnection(
            self._address.hostname or "", self._address.port, timeout=PATIENCE_SECONDS
        )
        # Shipments of their own, so that couriers do not stand in each other's way.
        first = number * signed.SHIPMENTS // COURIERS
        for id, body in signed.events(prefix, MANY, statuses, first):
            if self._stop.wait(PAUSE_SECONDS):
                break
            sent = time.time()
            try:
                connection.request("POST", self._address.path, body, signed.headers(id, body))
                answer = connection.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException):
                status = 0
                connection.close()
            self.answers.append(
                Answer(f"{signed.SOURCE}:{id}", "", status, sent, (time.time() - sent) * 1000)
            )
        connection.close()
