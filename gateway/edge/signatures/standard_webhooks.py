"""Standard Webhooks (https://www.standardwebhooks.com); Svix uses it with its own header names."""

from __future__ import annotations

from conf.sources.model import Secret, Signature
from gateway.edge.signatures.keyring import Keyring, from_base64
from gateway.edge.signatures.timestamp import timestamp_fault
from gateway.edge.signatures.verification import (
    HeaderLookup,
    Reason,
    Verification,
    environ_name,
    header_id,
    raw,
)


class StandardWebhooks:
    """``v1,<base64> [v1,<base64> …]`` over ``<id>.<timestamp>.<body>``.

    Entries of other versions and malformed ones are skipped. One matching entry is enough, so that
    a sender can rotate its key or its scheme.
    """

    def __init__(self, signature: Signature, secrets: tuple[Secret, ...]) -> None:
        self._id = environ_name(signature.id_header)
        self._timestamp = environ_name(signature.timestamp_header)
        self._signature = environ_name(signature.header)
        self._tolerance = signature.tolerance_seconds
        self._keys = Keyring(secrets)

    def verify(self, headers: HeaderLookup, body: bytes, now: float) -> Verification:
        id, timestamp = headers(self._id), headers(self._timestamp)
        signatures = headers(self._signature)
        if not signatures:
            return Verification(Reason.MISSING)
        if not id:
            return Verification(Reason.ID_MISSING)
        if not timestamp:
            return Verification(Reason.TIMESTAMP_MISSING)
        reason = timestamp_fault(timestamp, now, self._tolerance)
        if reason is not None:
            return Verification(reason)
        signed_id, macs = raw(id), _macs(signatures)
        if signed_id is None or not macs:
            return Verification(Reason.MALFORMED)
        signer = self._keys.signer((signed_id, b".", timestamp.encode(), b".", body), macs)
        if signer is None:
            return Verification(Reason.MISMATCH)
        return Verification(None, signer, header_id(id))


def _macs(signatures: str) -> list[bytes]:
    macs = []
    for entry in signatures.split(" "):
        version, _, text = entry.partition(",")
        mac = from_base64(text) if version == "v1" else None
        if mac is not None:
            macs.append(mac)
    return macs
