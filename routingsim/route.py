"""The route a key stands for, and the key a request carries.

Invariant: a route follows from its key alone. Nothing needs storing for a repeated key to get the
same route, however many calls run at once and across restarts.
"""

from __future__ import annotations

import hashlib

HUBS = ("Cairo North", "Giza West", "Alexandria Port", "Tanta Central", "Mansoura East")
CARRIERS = ("bosta", "aramex", "mylerz", "egypt-post")


def route_for(key: str) -> dict[str, str]:
    """The answer to a successful call, every value a string."""
    digest = hashlib.sha256(key.encode()).digest()
    return {
        "route_id": f"rt_{digest[:8].hex()}",
        "carrier": CARRIERS[digest[8] % len(CARRIERS)],
        "hub": HUBS[digest[9] % len(HUBS)],
        "idempotency_key": key,
    }


def read_key(header: str | None) -> str | None:
    """The key in an ``Idempotency-Key`` header; None where it is missing or blank.

    Header bytes are UTF-8 or, as HTTP once had it and some clients still send, Latin-1. aiohttp
    marks what is not UTF-8 with lone surrogates, which neither hash nor print.
    """
    raw = (header or "").strip().encode("utf-8", "surrogateescape")
    try:
        return raw.decode() or None
    except UnicodeDecodeError:
        return raw.decode("latin-1")
