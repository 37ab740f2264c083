"""The judgement on a captured request, in the order in which the edge judges it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from conf.sources import presets
from conf.sources.model import Signature, Source
from gateway.diagnosis.captured import Captured
from gateway.diagnosis.differences import differences
from gateway.diagnosis.keys import Key
from gateway.diagnosis.macs import Written, written
from gateway.diagnosis.outcome import outcome
from gateway.diagnosis.search import search, times_signed
from gateway.diagnosis.tokens import tokens
from gateway.edge import request_body
from gateway.edge.signatures import Reason, prepare
from gateway.edge.signatures.timestamp import untimely

METHOD_AND_PATH = "POST /v1/events/"
FOUND = {
    Reason.ID_MISSING: "the header {id} is missing: it is signed, so nothing can be checked "
    "without it",
    Reason.TIMESTAMP_MISSING: "no signed time: {time} is missing",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """status: what the edge would answer. good: whether the event would be taken and used."""

    status: int
    good: bool
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """keys: the candidates, see ``diagnosis.keys``. now: seconds since 1970; limit: bytes."""

    source: Source
    captured: Captured
    keys: Sequence[Key]
    now: float
    limit: int


def explain(inquiry: Inquiry) -> Explanation:
    """Why the request is taken or refused, and what to do."""
    source, captured = inquiry.source, inquiry.captured
    path = captured.target.partition("?")[0]
    notes = []
    if captured.method and captured.method != "POST":
        return Explanation(405, False, [f"the method is {captured.method}: events are POSTed"])
    if path and not path.endswith(f"/v1/events/{source.name}"):
        notes.append(
            f"it was sent to another path than {METHOD_AND_PATH}{source.name}, and is "
            f"judged as if it had been sent there"
        )
    if not source.enabled:
        return Explanation(
            404,
            False,
            [
                *notes,
                "the source is off: none of its secrets is set, and to the edge it does not exist",
            ],
        )
    environ = captured.environ()
    problem = request_body.rejection(environ, inquiry.limit)
    if problem is not None:
        return Explanation(problem.status, False, [*notes, f"{problem.title} ({problem.code})"])
    body = request_body.read(environ | {"wsgi.input": io.BytesIO(captured.body)})
    if body is None:
        return Explanation(
            400,
            False,
            [
                *notes,
                f"the body has {len(captured.body)} bytes, fewer than its Content-Length "
                f"{environ['CONTENT_LENGTH']}",
                *_signature(inquiry, Reason.MISMATCH),
            ],
        )
    if len(body) < len(captured.body):
        notes.append(
            f"{len(captured.body) - len(body)} bytes beyond the Content-Length are left "
            "out, as the edge would (an editor's line break?)"
        )
    inquiry = replace(inquiry, captured=replace(captured, body=body))
    verification = prepare(source).verify(environ.get, body, inquiry.now)
    if verification.reason is None:
        status, good, lines = outcome(source, verification, body, inquiry.now)
        return Explanation(status, good, [*notes, *_time(inquiry, ok=True), *lines])
    return Explanation(
        401,
        False,
        [
            f"the log of the edge would say reason={verification.reason}",
            *notes,
            *_signature(inquiry, verification.reason),
            *_time(inquiry, ok=False),
        ],
    )


def _signature(inquiry: Inquiry, reason: Reason) -> list[str]:
    """What is wrong with the signature, whatever the time."""
    source, captured = inquiry.source, inquiry.captured
    token = tokens(source.signature, captured, inquiry.keys)
    if token or source.signature.scheme == "token":
        return token or [
            _missing(source.signature, captured, [])
            if reason is Reason.MISSING
            else "the token is none of the keys known here: " + _tried(inquiry.keys)
        ]
    macs = written(captured)
    known = presets.signatures()
    matches = search(captured, inquiry.keys, macs, [source.signature, *known.values()])
    if matches:
        found = min((differences(m, source.signature, known) for m in matches), key=len)
        return found or _right_but(reason, source.signature)
    if reason in FOUND:
        return [_say(reason, source.signature)]
    if reason is Reason.MISSING:
        return [_missing(source.signature, captured, macs)]
    lines = [] if macs else [_unreadable(source.signature, captured)]
    return (
        [
            *lines,
            "no key known here made it, over this body or any usual way of writing it: "
            "the courier signs with another secret, or the body was changed in another way. "
            + _tried(inquiry.keys),
        ]
        if macs
        else lines
    )


def _right_but(reason: Reason, signature: Signature) -> list[str]:
    """The signature fits, and yet the edge refuses."""
    if reason is Reason.MALFORMED:
        return [
            "the signature is right, but its header holds more than one time or cannot be read "
            "as a whole"
        ]
    lead = "the signature is right (key, body and encoding fit)"
    return [f"{lead}, but {_say(reason, signature)}" if reason in FOUND else lead]


def _say(reason: Reason, signature: Signature) -> str:
    time = signature.timestamp_header or f"t=… in {signature.header}"
    return FOUND[reason].format(id=signature.id_header, time=time)


def _missing(signature: Signature, captured: Captured, macs: Sequence[Written]) -> str:
    value = captured.header(signature.header)
    what = "is missing" if value is None else "is empty"
    names = ", ".join(dict.fromkeys(one.header for one in macs))
    there = (
        f"; what looks like a signature is in {names}, and no key known here made it"
        if names
        else "; no other header holds what looks like a signature"
    )
    return f"the header {signature.header} {what}{there}"


def _unreadable(signature: Signature, captured: Captured) -> str:
    value = captured.header(signature.header) or ""
    wanted = {
        "stripe": "t=<seconds>,v1=<64 hex digits>",
        "standard-webhooks": "v1,<base64 of 32 bytes>",
    }.get(signature.scheme, f"{signature.prefix}<{signature.encoding} of 32 bytes>")
    return (
        f"what is in {signature.header} ({len(value)} characters) is no signature in any "
        f"encoding known here; this source expects {wanted}"
    )


def _tried(keys: Sequence[Key]) -> str:
    labels = ", ".join(dict.fromkeys(key.label for key in keys))
    return f"Tried: {labels}. More environment variables can be tried with --try VARIABLE"


def _time(inquiry: Inquiry, ok: bool) -> list[str]:
    """The signed time against now."""
    signature = inquiry.source.signature
    if not signature.tolerance_seconds:
        return []
    own = replace(signature, timestamp_header=signature.timestamp_header or "")
    texts = list(times_signed(_only(inquiry.captured, own), [own]))
    if not texts:
        return []
    why = untimely(texts[0], inquiry.now, signature.tolerance_seconds)
    if why is Reason.TIMESTAMP_MALFORMED:
        unit = " It is in milliseconds, not seconds?" if len(texts[0]) == 13 else ""
        return ["the signed time is no plain decimal number of seconds since 1970." + unit]
    off = inquiry.now - int(texts[0])
    side = "before" if off >= 0 else "after"
    said = (
        f"signed at {_moment(int(texts[0]))}, {abs(off):.0f} s {side} {_moment(inquiry.now)} "
        f"(tolerance {signature.tolerance_seconds} s either way)"
    )
    if ok:
        return [said]
    if why is None:
        return [f"the time is right: {said}"]
    slow = (
        "the courier's clock is behind or ours ahead, or the request was on its way for that long"
        if off >= 0
        else "the courier's clock is ahead or ours behind"
    )
    return [
        f"skewed by {abs(off):.0f} s: {said}: {slow}. For a capture that is merely old, "
        f"--now {texts[0]} judges it as of its own time"
    ]


def _only(captured: Captured, signature: Signature) -> Captured:
    """The headers in which this source's time may be."""
    names = {signature.header.lower(), signature.timestamp_header.lower()}
    return replace(captured, headers=[h for h in captured.headers if h[0].lower() in names])


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s after 1970"
