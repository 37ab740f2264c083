"""The live HMAC-SHA256 keys of a source, and the texts that a MAC comes in."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence

from conf.source import Secret

MAC_BYTES = 32


class Keyring:
    """Says which of the live keys made a MAC.

    The key schedule is done once; a request copies the prepared state, at a third less than
    starting from the key.
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        # With an empty key everybody could sign.
        self._keys = [(s.label, hmac.new(s.key, None, hashlib.sha256)) for s in secrets if s.key]

    def signer(self, content: Sequence[bytes], macs: Sequence[bytes]) -> str | None:
        """The label of the key with which one of ``macs`` signs the joined ``content``."""
        for label, prepared in self._keys:
            state = prepared.copy()
            for part in content:
                state.update(part)
            expected = state.digest()
            for mac in macs:
                if hmac.compare_digest(expected, mac):
                    return label
        return None


def from_hex(text: str) -> bytes | None:
    """The MAC in a hexadecimal text, or None."""
    try:
        mac = binascii.unhexlify(text)
    except ValueError:
        return None
    return mac if len(mac) == MAC_BYTES else None


def from_base64(text: str) -> bytes | None:
    """The MAC in a base64 text, or None."""
    try:
        mac = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return mac if len(mac) == MAC_BYTES else None


def from_either(text: str) -> bytes | None:
    """For couriers that document one and send the other. 64 digits are no base64 of a MAC."""
    return from_hex(text) or from_base64(text)


DECODERS: dict[str, Callable[[str], bytes | None]] = {
    "hex": from_hex, "base64": from_base64, "either": from_either,
}
