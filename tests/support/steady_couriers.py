"""Couriers that never repeat a request: every response but 202 is a failure."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
import urllib3

SECRET = b"bench-secret"
PAUSE_SECONDS = 0.06  # between two requests of one courier; less would exceed the workers
RESPONSE_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    kept: bool
    event: str
    shipment: str
    outcome: str  # the status, or what happened instead
    seconds: float


class SteadyCouriers:
    """Post while in context: half of them on a kept connection, half on a new one each time."""

    def __init__(self, url: str, shipments: list[str], name: str, couriers: int = 8) -> None:
        self._url, self._name = f"{url}/v1/events/bench", name
        self._shipments = itertools.cycle(shipments)
        self._numbers = itertools.count()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(n % 2 == 0,), daemon=True)
            for n in range(couriers)
        ]
        self.answers: list[Answer] = []

    def __enter__(self) -> SteadyCouriers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, kept: bool) -> None:
        # urllib3 checks whether the server has closed a connection before it reuses it.
        http = urllib3.PoolManager(maxsize=1, retries=False, timeout=RESPONSE_TIMEOUT_SECONDS)
        while not self._over.wait(PAUSE_SECONDS):
            event, shipment = f"{self._name}_{next(self._numbers)}", next(self._shipments)
            body = orjson.dumps(
                {
                    "id": event,
                    "shipment_id": shipment,
                    "status": "in_transit",
                    "occurred_at": datetime.now(UTC).isoformat(),
                }
            )
            mac = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
            headers = {
                "Content-Type": "application/json",
                "X-Signature": f"sha256={mac}",
                "Connection": "keep-alive" if kept else "close",
            }
            began = time.monotonic()
            try:
                outcome = str(http.request("POST", self._url, body=body, headers=headers).status)
            except urllib3.exceptions.HTTPError as error:
                outcome = f"{type(error).__name__}: {error}"
            self.answers.append(Answer(kept, event, shipment, outcome, time.monotonic() - began))

    @property
    def failures(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.outcome != "202"]

    def applied(self) -> Counter[str]:
        """Shipment -> the number of its events."""
        return Counter(answer.shipment for answer in self.answers)

    def report(self) -> str:
        lines = []
        for kept, kind in ((True, "kept connections"), (False, "a connection for each request")):
            seconds = sorted(answer.seconds for answer in self.answers if answer.kept is kept)
            failed = sum(answer.kept is kept for answer in self.failures)
            lines.append(
                f"{kind}: {len(seconds)} requests, {failed} failures, "
                f"median {seconds[len(seconds) // 2] * 1000:.1f} ms, "
                f"slowest {seconds[-1]:.2f} s"
            )
        return "\n".join(lines)
