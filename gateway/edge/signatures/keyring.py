"""The live HMAC-SHA256 keys of a source, and the encodings of a MAC."""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable, Iterable, Sequence
from hmac import compare_digest
from typing import TYPE_CHECKING

from conf.sources.model import Secret

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

MAC_BYTES = 32
BLOCK_BYTES = 64  # of SHA-256


class Keyring:
    """Finds the live key that made a MAC.

    HMAC as defined in RFC 2104. Both hashes are fed with the key in advance and copied for each
    request, which costs two thirds of copying an ``hmac`` object.
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        # Anyone could sign with an empty key.
        self._keys = [(s.label, *_prepared(s.key)) for s in secrets if s.key]

    def signer(self, content: Sequence[bytes], macs: Sequence[bytes]) -> str | None:
        """The label of the key with which one of ``macs`` signs the joined ``content``."""
        for label, inner, outer in self._keys:
            hash, mac_hash = inner.copy(), outer.copy()
            for part in content:
                hash.update(part)
            mac_hash.update(hash.digest())
            expected = mac_hash.digest()
            for mac in macs:
                if compare_digest(expected, mac):
                    return label
        return None


def _prepared(key: bytes) -> tuple[Hash, Hash]:
    """The inner and the outer hash, each fed with the padded key."""
    if len(key) > BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    key = key.ljust(BLOCK_BYTES, b"\0")
    return (
        hashlib.sha256(bytes(byte ^ 0x36 for byte in key)),
        hashlib.sha256(bytes(byte ^ 0x5C for byte in key)),
    )


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
    """For couriers that document one encoding and send the other. Not ambiguous: a MAC has 64
    characters in hex and 44 in base64."""
    return from_hex(text) or from_base64(text)


DECODERS: dict[str, Callable[[str], bytes | None]] = {
    "hex": from_hex,
    "base64": from_base64,
    "either": from_either,
}
