"""Events in the payloads of three sources, and how each of them signs.

Written from the providers' documents, not taken from the product: a signer that shared the
verifier's code would share its mistakes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random

from loadtest.harness.history import Event
from loadtest.harness.http_client import Request

BENCH_SECRET = b"bench-secret"
STANDARD_KEY = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
EASYPOST_SECRET = unicodedata.normalize("NFKD", "easypost-demo-secret").encode()

# Canonical status -> the source's own word. No terminal one: it would absorb all later events.
_CANONICAL = {
    status: status
    for status in (
        "picked_up",
        "in_transit",
        "out_for_delivery",
        "delivery_failed",
        "exception",
        "address_changed",
        "delayed",
    )
}
WORDS: Mapping[str, Mapping[str, str]] = {
    "bench": _CANONICAL,
    "standard": _CANONICAL,
    "easypost": {
        "in_transit": "in_transit",
        "out_for_delivery": "out_for_delivery",
        "delivery_failed": "failure",
        "exception": "error",
    },
}
LATE = 0.1  # share of the events that a courier sends long after they happened
UNREADABLE = 0.01
NO_WORD = "eaten_by_a_dog"


def event(rng: Random, source: str, id: str, shipment: str, now: datetime) -> Event:
    """Something that happened to a shipment about now."""
    status = rng.choice(list(WORDS[source]))
    readable = rng.random() >= UNREADABLE
    age = rng.uniform(60, 3600) if rng.random() < LATE else rng.uniform(0, 0.5)
    occurred_at = now - timedelta(seconds=age)
    occurred_at = occurred_at.replace(microsecond=occurred_at.microsecond // 1000 * 1000)
    word = WORDS[source][status] if readable else NO_WORD
    body = json.dumps(_document(source, id, shipment, word, occurred_at)).encode()
    return Event(source, id, shipment, status, occurred_at, body, readable)


def _document(source: str, id: str, shipment: str, word: str, at: datetime) -> dict[str, object]:
    moment = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if source == "easypost":
        return {
            "id": id,
            "object": "Event",
            "description": "tracker.updated",
            "result": {"tracking_code": shipment, "status": word, "updated_at": moment},
        }
    return {
        "id": id,
        "type": "shipment.status_updated",
        "shipment_id": shipment,
        "status": word,
        "occurred_at": moment,
        "location": "Cairo",
    }


def request(event: Event, now: float) -> Request:
    """Signed at ``now``; the body is the same each time."""
    assert event.body is not None
    headers = _SIGNERS[event.source](event.id, event.body, now)
    return Request(f"/v1/events/{event.source}", headers, event.body)


def _bench(id: str, body: bytes, now: float) -> dict[str, str]:
    return {"X-Signature": "sha256=" + _mac(BENCH_SECRET, body).hex()}


def _standard(id: str, body: bytes, now: float) -> dict[str, str]:
    at = str(int(now))
    mac = _mac(STANDARD_KEY, f"{id}.{at}.".encode() + body)
    return {
        "webhook-id": id,
        "webhook-timestamp": at,
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


def _easypost(id: str, body: bytes, now: float) -> dict[str, str]:
    return {"X-Hmac-Signature": "hmac-sha256-hex=" + _mac(EASYPOST_SECRET, body).hex()}


_SIGNERS: Mapping[str, Callable[[str, bytes, float], dict[str, str]]] = {
    "bench": _bench,
    "standard": _standard,
    "easypost": _easypost,
}


def _mac(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, content, hashlib.sha256).digest()
