"""Secrets that stand in a header as they are: right for a token-only source, a fault elsewhere."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence

from conf.sources.model import Signature
from gateway.diagnosis.captured import Captured
from gateway.diagnosis.keys import Key


def tokens(signature: Signature, captured: Captured, keys: Sequence[Key]) -> list[str]:
    """Sentences about the first header that holds one of the keys; none if no header does."""
    for name, value in captured.headers:
        for prefix, text in _readings(value, signature.prefix):
            for key in keys:
                if hmac.compare_digest(text.encode("latin-1", "replace"), key.key):
                    return list(_faults(signature, name, prefix, key))
    return []


def _readings(value: str, own: str) -> Iterator[tuple[str, str]]:
    """Prefix and token."""
    if own and value.startswith(own):
        yield own, value[len(own) :]
    yield "", value
    scheme, space, rest = value.partition(" ")
    if space:
        yield scheme + space, rest.strip()


def _faults(signature: Signature, name: str, prefix: str, key: Key) -> Iterator[str]:
    if signature.scheme != "token":
        yield (
            f"the header {name} holds the secret {key.label} itself: the courier sends it as a "
            "fixed token and signs nothing. Ask it to sign; the secret is now in this capture, "
            "so change it"
        )
        return
    if key.fault:
        yield key.fault.replace("signed with", "sent with").replace("signs with", "sends")
    if name.lower() != signature.header.lower():
        yield (
            f"the token is in the header {name}, and this source looks in {signature.header}: "
            f'set signature_header = "{name}"'
        )
    if prefix != signature.prefix:
        there = "a word and a space stand" if prefix else "nothing stands"
        wanted = f'"{signature.prefix}"' if signature.prefix else "nothing"
        yield f"wrong prefix: {there} before the token, and this source expects {wanted}"
