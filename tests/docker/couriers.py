"""Couriers that post signed events and repeat each until it is answered 2xx, as real ones do."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import itertools
import json
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime

SECRET = b"bench-secret"  # the published one, live in the demo profile
STATUSES = ("delayed", "in_transit", "out_for_delivery", "picked_up")  # half of them need a route
SHIPMENTS = 1000
PAUSE_SECONDS = 0.05
RESEND_PAUSE_SECONDS = 0.25
RESEND_SECONDS = 240  # an event not accepted within this time fails the test


def event(id: str, status: str = "delayed", shipment: int = 1) -> bytes:
    """The body of an event that happened just now."""
    return json.dumps(
        {
            "id": id,
            "type": "shipment.status_updated",
            "shipment_id": f"SHP-{shipment}",
            "status": status,
            "occurred_at": datetime.now(UTC).isoformat(),
        }
    ).encode()


def post(url: str, body: bytes, secret: bytes = SECRET) -> int:
    """The status of the response; 0 if there was none."""
    mac = hmac.new(secret, body, hashlib.sha256).hexdigest()
    request = urllib.request.Request(
        f"{url}/v1/events/bench",
        body,
        {"Content-Type": "application/json", "X-Signature": f"sha256={mac}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, http.client.HTTPException):
        return 0


class Couriers:
    """Sends events while in context; ``acknowledged`` are the ids of those answered 2xx."""

    def __init__(self, url: str, prefix: str, threads: int = 4) -> None:
        self._url, self._prefix = url, prefix
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        self.acknowledged: list[str] = []
        self.never_accepted: list[str] = []
        self.resent = 0

    def __enter__(self) -> Couriers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert not self.never_accepted, f"never accepted: {self.never_accepted}"

    def _run(self) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            id = f"{self._prefix}-{number}"
            body = event(id, STATUSES[number % len(STATUSES)], number % SHIPMENTS + 1)
            deadline = time.monotonic() + RESEND_SECONDS
            while post(self._url, body) not in (200, 202):
                if time.monotonic() > deadline:
                    self.never_accepted.append(id)
                    return
                self.resent += 1
                time.sleep(RESEND_PAUSE_SECONDS)
            self.acknowledged.append(f"bench:{id}")
            if number % 10 == 0:  # a duplicate
                post(self._url, body)
            time.sleep(PAUSE_SECONDS)
