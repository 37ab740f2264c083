"""Which key made which MAC over what? The one search behind all explanations.

Every MAC in the request is compared with what each candidate key makes of each content that any
scheme signs (the body; time and body; id, time and body), over each way the body may have been
written. What fits says, by its differences from the source's table, what is wrong.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from conf.sources.model import Signature
from gateway.diagnosis.bodies import variants
from gateway.diagnosis.captured import Captured
from gateway.diagnosis.keys import Key
from gateway.diagnosis.macs import Written

# What the schemes sign: see gateway/edge/signatures.
BODY, TIME_BODY, ID_TIME_BODY = "body-hmac", "stripe", "standard-webhooks"


@dataclass(frozen=True, slots=True)
class Match:
    """scheme: the one that signs this kind of content. body: what was signed in place of the body
    as it was captured; empty if it was that one."""

    key: Key
    written: Written
    scheme: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """prefix: what is signed before the body."""

    scheme: str
    prefix: bytes


def search(
    captured: Captured,
    keys: Iterable[Key],
    macs: Iterable[Written],
    signatures: Iterable[Signature],
) -> list[Match]:
    """All matches. signatures: those whose id and time headers may be in the request."""
    by_mac: dict[bytes, list[Written]] = {}
    for one in macs:
        by_mac.setdefault(one.mac, []).append(one)
    algorithms = {one.algorithm for several in by_mac.values() for one in several}
    contents = list(_contents(captured, list(signatures)))
    bodies = [("", captured.body), *variants(captured.body)]
    return [
        Match(key, one, content.scheme, what)
        for what, body in bodies
        for content in contents
        for key in keys
        for algorithm in algorithms
        for one in by_mac.get(hmac.digest(key.key, content.prefix + body, algorithm), ())
    ]


def _contents(captured: Captured, signatures: list[Signature]) -> Iterator[Content]:
    yield Content(BODY, b"")
    times = list(dict.fromkeys(times_signed(captured, signatures)))
    for time in times:
        yield Content(TIME_BODY, f"{time}.".encode("latin-1", "replace"))
    for id_header in dict.fromkeys(s.id_header.lower() for s in signatures if s.id_header):
        id = captured.header(id_header)
        for time in times if id else ():
            yield Content(ID_TIME_BODY, f"{id}.{time}.".encode("latin-1", "replace"))


def times_signed(captured: Captured, signatures: Iterable[Signature]) -> Iterator[str]:
    """The texts that may be the signed time: from headers for it, and from t=… in any other."""
    for name in dict.fromkeys(s.timestamp_header.lower() for s in signatures):
        if name and (text := captured.header(name)):
            yield text
    for _, value in captured.headers:
        for entry in value.split(","):
            key, equals, text = entry.strip().partition("=")
            if key == "t" and equals:
                yield text
