"""Stripe's scheme, which Shippo uses too: timestamp and signatures in one header."""

from __future__ import annotations

from conf.sources.model import Secret, Signature
from gateway.edge.signatures.keyring import Keyring, from_hex
from gateway.edge.signatures.timestamp import timestamp_fault
from gateway.edge.signatures.verification import HeaderLookup, Reason, Verification, environ_name


class Stripe:
    """``t=<timestamp>,v1=<hex>[,v1=<hex> …]`` over ``<timestamp>.<body>``."""

    def __init__(self, signature: Signature, secrets: tuple[Secret, ...]) -> None:
        self._header = environ_name(signature.header)
        self._tolerance = signature.tolerance_seconds
        self._keys = Keyring(secrets)

    def verify(self, headers: HeaderLookup, body: bytes, now: float) -> Verification:
        text = headers(self._header)
        if not text:
            return Verification(Reason.MISSING)
        timestamps: list[str] = []
        macs: list[bytes] = []
        for entry in text.split(","):
            key, _, value = entry.strip(" ").partition("=")
            if key == "t":
                timestamps.append(value)
            elif key == "v1" and (mac := from_hex(value)) is not None:
                macs.append(mac)
        if not timestamps:
            return Verification(Reason.TIMESTAMP_MISSING)
        if len(timestamps) > 1 or not macs:
            return Verification(Reason.MALFORMED)  # with two timestamps the signed one is ambiguous
        reason = timestamp_fault(timestamps[0], now, self._tolerance)
        if reason is not None:
            return Verification(reason)
        signer = self._keys.signer((timestamps[0].encode(), b".", body), macs)
        return Verification(Reason.MISMATCH) if signer is None else Verification(None, signer)
