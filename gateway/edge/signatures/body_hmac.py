"""An HMAC over the raw body in one header: GitHub, EasyPost, Shopify, AfterShip and many more."""

from __future__ import annotations

from conf.sources.model import Secret, Signature
from gateway.edge.signatures.keyring import DECODERS, Keyring
from gateway.edge.signatures.verification import (
    HeaderLookup,
    Reason,
    Verification,
    environ_name,
    header_id,
)


class BodyHmac:
    """``<prefix><hex or base64 of the MAC>``.

    An event id from a header is not signed: a party that saw one request can send it again under
    another id, and only the courier's ``occurred_at`` then marks it as late.
    """

    def __init__(self, signature: Signature, secrets: tuple[Secret, ...]) -> None:
        self._header = environ_name(signature.header)
        self._prefix = signature.prefix
        self._decode = DECODERS[signature.encoding]
        self._id = environ_name(signature.id_header) if signature.id_header else ""
        self._keys = Keyring(secrets)

    def verify(self, headers: HeaderLookup, body: bytes, now: float) -> Verification:
        text = headers(self._header)
        if not text:
            return Verification(Reason.MISSING)
        if not text.startswith(self._prefix):
            return Verification(Reason.MALFORMED)
        mac = self._decode(text[len(self._prefix) :])
        if mac is None:
            return Verification(Reason.MALFORMED)
        signer = self._keys.signer((body,), (mac,))
        if signer is None:
            return Verification(Reason.MISMATCH)
        return Verification(None, signer, header_id(headers(self._id)) if self._id else None)
