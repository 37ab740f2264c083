"""Everything in a request's headers that may be a MAC, however it is written down."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.diagnosis.captured import Captured

# By its length in bytes. SHA-1 and SHA-512 are recognised only to be named.
ALGORITHMS = {32: "sha256", 20: "sha1", 64: "sha512"}

PREFIX_WORDS = frozenset(
    {
        "sha1",
        "sha256",
        "sha512",
        "hmac",
        "hmac-sha256",
        "hmac-sha256-hex",
        "v0",
        "v1",
        "v1a",
        "v2",
        "t",
        "s",
        "sig",
        "signature",
        "bearer",
        "token",
    }
)

# What may stand before a MAC: sha256=, v1=, v1,  …
_PREFIX = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]{0,19}(?:[=:,] ?| ))*")
_WORD = re.compile("[A-Za-z0-9-]+")
_SPLIT = re.compile(r"[ ,;]+")
_HEX = re.compile("[0-9A-Fa-f]+")
_BASE64 = re.compile("[A-Za-z0-9+/]+={0,2}")
_BASE64URL = re.compile("[A-Za-z0-9_-]+={0,2}")


@dataclass(frozen=True, slots=True)
class Written:
    """A MAC as it stands in a header. encoding: hex, base64, or a name for another. entries: how
    many the header holds."""

    mac: bytes = field(repr=False)
    header: str
    prefix: str
    encoding: str
    entries: int = 1

    @property
    def algorithm(self) -> str:
        return ALGORITHMS[len(self.mac)]


def written(captured: Captured) -> list[Written]:
    """All of them, from all headers."""
    names = dict.fromkeys(name.lower() for name, _ in captured.headers)
    found = []
    for name in names:
        spelt = next(n for n, _ in captured.headers if n.lower() == name)
        found += list(_in_header(spelt, captured.header(name) or ""))
    return found


def _in_header(name: str, value: str) -> Iterator[Written]:
    entries = [entry for entry in _SPLIT.split(value) if entry]
    count = sum(any(True for _ in _decoded(_without_prefix(entry)[1])) for entry in entries)
    seen: set[bytes] = set()
    # The longest text first: a prefix may hold a comma or a space itself (v1,<base64>).
    for text in (value.strip(), *value.split(" "), *entries):
        prefix, rest = _without_prefix(text)
        for encoding, mac in _decoded(rest):
            if mac not in seen:
                seen.add(mac)
                yield Written(mac, name, prefix, encoding, max(1, count))


def shown(prefix: str) -> str:
    """A prefix as an operator may see it: in quotes, if it consists of words known from the ways
    of signing. Anything else might be a token."""
    words = _WORD.findall(prefix)
    known = all(word.lower() in PREFIX_WORDS for word in words)
    return f'"{prefix}"' if known else "something else (not shown)"


def _without_prefix(text: str) -> tuple[str, str]:
    """What stands before the MAC, and the MAC's text."""
    found = _PREFIX.match(text)
    end = found.end() if found else 0
    return text[:end], text[end:]


def _decoded(text: str) -> Iterator[tuple[str, bytes]]:
    """The text read in every encoding in which it is as long as a MAC."""
    for encoding, shape, decode in (
        ("hex", _HEX, binascii.unhexlify),
        ("base64", _BASE64, _from_base64),
        ("base64url", _BASE64URL, _from_base64),
        ("base64 of the hex text", _BASE64, _from_base64_of_hex),
    ):
        if shape.fullmatch(text):
            try:
                mac = decode(text)
            except ValueError:
                continue
            if len(mac) in ALGORITHMS:
                yield _named(encoding, text), mac


def _from_base64(text: str) -> bytes:
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(bare + "=" * (-len(bare) % 4))


def _from_base64_of_hex(text: str) -> bytes:
    return binascii.unhexlify(_from_base64(text))


def _named(encoding: str, text: str) -> str:
    if encoding == "base64" and len(text) % 4:
        return "base64 without its padding"
    return encoding
