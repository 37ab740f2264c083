"""Decides from the sent bytes which answers are allowed, without parsing HTTP.

A 2xx is right if a body that follows any blank line, with any announced length, is signed by any
header line among the bytes. Then Redis must hold the same body under the id that the body gives.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from dataclasses import dataclass

import orjson

from tests.fuzz.cases import Case
from tests.support.edge import BENCH_SECRET, STANDARD_SECRET
from tests.support.raw_http import Answer, Exchange

_BLANK = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
# meinheld joins lines without a colon with the next one.
_NO_COLON = re.compile(rb"(\n[^:\r\n]+(?:\r?\n[^:\r\n]+)*)\r?\n")
_CODING = re.compile(rb"(?i)\r\ntransfer-encoding[ \t]*:")
_LENGTH = re.compile(rb"(?i)content[-_]length[ \t]*:[ \t]*([0-9][0-9 ]{0,9})")
_BENCH = re.compile(rb"(?i)[\r\n]x[-_]signature[ \t]*:[ \t]*sha256=([0-9a-f]{64})")
_ID = re.compile(rb"(?i)[\r\n]webhook[-_]id[ \t]*:[ \t]*([^\r\n\0]+)")
_AT = re.compile(rb"(?i)[\r\n]webhook[-_]timestamp[ \t]*:[ \t]*([0-9]+)")
_V1 = re.compile(rb"v1,([A-Za-z0-9+/]+=*)")


@dataclass(frozen=True)
class Signed:
    """A body that is signed by the bytes. ids: the ids under which it may be stored."""

    body: bytes
    ids: frozenset[str]


def signed(sent: bytes) -> list[Signed]:
    """Every body in the bytes that has a valid signature among them."""
    heads = (sent, _FOLD.sub(b"", sent), _joined(sent))
    macs = {mac.lower() for head in heads for mac in _BENCH.findall(head)}
    ids = {id for head in heads for raw in _ID.findall(head) for id in (raw, raw.strip(b" \t"))}
    hooks = {
        (id, at, mac)
        for head in heads
        for id in ids
        for at in _AT.findall(head)
        for mac in _V1.findall(head)
    }
    found = []
    for body in _bodies(sent):
        names: set[str] = set()
        if hmac.digest(BENCH_SECRET, body, hashlib.sha256).hex().encode() in macs:
            names |= {f"nameless:{hashlib.sha256(body).hexdigest()}", *_bench_ids(body)}
        for id, at, mac in hooks:
            content = id + b"." + at + b"." + body
            if _is(mac, hmac.digest(STANDARD_SECRET, content, hashlib.sha256)):
                names.add("standard:" + id.decode("utf-8", "replace"))
        if names:
            found.append(Signed(body, frozenset(names)))
    return found


def _joined(sent: bytes) -> bytes:
    return _NO_COLON.sub(lambda lines: re.sub(rb"(?<!^)\r?\n", b"", lines[0]), sent)


def _is_coded(sent: bytes) -> bool:
    """Whether the first head has a Transfer-Encoding, which the edge must not accept."""
    return _CODING.search(_joined(_BLANK.split(sent, 1)[0] + b"\r\n")) is not None


def _bodies(sent: bytes) -> set[bytes]:
    sizes = {int(text.replace(b" ", b"")) for text in _LENGTH.findall(sent)}
    return {sent[gap.end() : gap.end() + size] for gap in _BLANK.finditer(sent) for size in sizes}


def _bench_ids(body: bytes) -> set[str]:
    """The id by another parser than the edge's; by orjson only for bodies nested too deeply."""
    try:
        try:
            value = json.loads(body)["id"]
        except RecursionError:
            value = orjson.loads(body)["id"]
    except (ValueError, LookupError, TypeError):
        return set()
    right = isinstance(value, str) or type(value) is int
    return {f"bench:{value}"} if right else set()


def _is(text: bytes, mac: bytes) -> bool:
    try:
        return base64.b64decode(text) == mac
    except binascii.Error:
        return False


def fault(case: Case, result: Exchange) -> str:
    """What is wrong with the answers; empty if they are allowed."""
    if not result.ended:
        return f"the connection hung for {result.seconds:.1f} s"
    if case.valid and result.statuses not in ([202], [200]):
        return f"a valid event was answered {result.statuses}"
    final = next((answer for answer in result.answers if answer.status != 100), None)
    if final is not None and _is_event(final) and _is_coded(case.sent):
        return f"{final.status} despite a Transfer-Encoding"
    for answer in result.answers:
        if 200 <= answer.status < 300 and _is_event(answer):
            name = json.loads(answer.content)["id"]
            if not any(name in one.ids for one in signed(case.sent)):
                return f"{answer.status} for {name!r}, which nothing in the bytes signs"
        elif answer.status >= 500 and not _may_be_5xx(case, answer):
            return f"{answer.status}: {answer.content[:200]!r}"
    return ""


def _is_event(answer: Answer) -> bool:
    return answer.content.startswith((b'{"status":"accepted"', b'{"status":"duplicate"'))


def _may_be_5xx(case: Case, answer: Answer) -> bool:
    if answer.status == 501:  # gunicorn's answer to an unknown transfer coding
        return b"transfer-encoding" in case.sent.lower()
    # meinheld answers 503 to a client that closes its side before the end of a request.
    return answer.status == 503 and not case.valid and "retry-after" not in answer.headers


def accepted(result: Exchange) -> list[str]:
    """The ids in the 2xx answers."""
    return [
        json.loads(a.content)["id"]
        for a in result.answers
        if a.status in (200, 202) and _is_event(a)
    ]
