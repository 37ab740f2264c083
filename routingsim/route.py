"""The route of an idempotency key, and the key of a request.

Invariant: a route is a function of its key, so that a repeated key gets the same route, at the same
time or after a restart, and nothing has to be stored.
"""

from __future__ import annotations

import hashlib

HUBS = ("Cairo North", "Giza West", "Alexandria Port", "Tanta Central", "Mansoura East")
CARRIERS = ("bosta", "aramex", "mylerz", "egypt-post")


def route_for(key: str) -> dict[str, str]:
    """The answer to a successful call. Every value is a string."""
    digest = hashlib.sha256(key.encode()).digest()
    return {
        "route_id": f"rt_{digest[:8].hex()}",
        "carrier": CARRIERS[digest[8] % len(CARRIERS)],
        "hub": HUBS[digest[9] % len(HUBS)],
        "idempotency_key": key,
    }


def read_key(header: str | None) -> str | None:
    """The key in an ``Idempotency-Key`` header; None where it is missing or blank.

    Header bytes are UTF-8 or, from some clients, Latin-1, as older HTTP had it. aiohttp decodes
    bytes that are not UTF-8 to lone surrogates, which can be neither hashed nor printed.
    """
    raw = (header or "").strip().encode("utf-8", "surrogateescape")
    try:
        return raw.decode() or None
    except UnicodeDecodeError:
        return raw.decode("latin-1")
