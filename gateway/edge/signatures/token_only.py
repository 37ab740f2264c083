"""A fixed token in a header, and no signature: a party that saw one request can forge others.

Only for couriers that offer nothing better (DHL push); the source's table must allow it explicitly.
"""

from __future__ import annotations

import hmac

from conf.sources.model import Secret, Signature
from gateway.edge.signatures.verification import (
    HeaderLookup,
    Reason,
    Verification,
    environ_name,
    raw,
)


class TokenOnly:
    """``<prefix><token>``."""

    def __init__(self, signature: Signature, secrets: tuple[Secret, ...]) -> None:
        self._header = environ_name(signature.header)
        self._prefix = signature.prefix
        # An empty secret would match an empty header.
        self._secrets = [secret for secret in secrets if secret.key]

    def verify(self, headers: HeaderLookup, body: bytes, now: float) -> Verification:
        text = headers(self._header)
        if not text:
            return Verification(Reason.MISSING)
        token = raw(text[len(self._prefix) :]) if text.startswith(self._prefix) else None
        if token is None:
            return Verification(Reason.MALFORMED)
        for secret in self._secrets:
            if hmac.compare_digest(token, secret.key):
                return Verification(None, secret.label)
        return Verification(Reason.MISMATCH)
