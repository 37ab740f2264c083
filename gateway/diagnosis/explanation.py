"""The verdict on a captured request, checked in the same order as the edge does."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import orjson

from conf.sources import presets
from conf.sources.model import Signature, Source
from gateway.diagnosis.candidates import CandidateKey, FoundMac, find_macs
from gateway.diagnosis.captured_request import Captured
from gateway.diagnosis.search import differences, search, signed_times, token_problems
from gateway.edge import problems, request_body
from gateway.edge.event_id import NoEventId, event_id
from gateway.edge.signatures import Reason, Verification, prepare
from gateway.edge.signatures.timestamp import timestamp_fault
from workers.canonical_event import to_canonical
from workers.errors import Ignored, Malformed

SIGNED_PART_MISSING = {
    Reason.ID_MISSING: "the header {id} is missing: it is signed, so nothing can be checked "
    "without it",
    Reason.TIMESTAMP_MISSING: "no signed time: {time} is missing",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """status: the edge's response. good: whether the event would be accepted and processed."""

    status: int
    good: bool
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """now: seconds since 1970, as of when the request is judged."""

    source: Source
    captured: Captured
    keys: Sequence[CandidateKey]
    now: float
    max_body_bytes: int


def explain(inquiry: Inquiry) -> Explanation:
    """Why the edge accepts or rejects the request, and what to do."""
    source, captured = inquiry.source, inquiry.captured
    if captured.method not in ("", "POST"):
        return Explanation(
            405, False, [f"the method is {captured.method}: events are sent by POST"]
        )
    notes = []
    path = captured.target.partition("?")[0]
    if path and not path.endswith(f"/v1/events/{source.name}"):
        notes.append(
            f"it was sent to another path than POST /v1/events/{source.name}; what follows "
            "assumes that path"
        )
    if not source.enabled:
        notes.append(
            "the source is off: none of its secrets is set, so the edge answers as if it did not "
            "exist"
        )
        return Explanation(404, False, notes)
    environ = captured.environ()
    problem = request_body.rejection(environ, inquiry.max_body_bytes)
    if problem is not None:
        return Explanation(problem.status, False, [*notes, f"{problem.title} ({problem.code})"])
    body = request_body.read(environ | {"wsgi.input": io.BytesIO(captured.body)})
    if body is None:
        notes.append(
            f"the body has {len(captured.body)} bytes, fewer than its Content-Length "
            f"{environ['CONTENT_LENGTH']}"
        )
        return Explanation(400, False, [*notes, *_signature_faults(inquiry, Reason.MISMATCH)])
    if len(body) < len(captured.body):
        notes.append(
            f"{len(captured.body) - len(body)} bytes beyond the Content-Length are ignored, as "
            "the edge does (an editor's line break?)"
        )
    inquiry = replace(inquiry, captured=replace(captured, body=body))
    verification = prepare(source).verify(environ.get, body, inquiry.now)
    if verification.reason is None:
        verified = _explain_event(source, verification, body, inquiry.now)
        lines = [*notes, *_signed_time(inquiry, ok=True), *verified.lines]
        return replace(verified, lines=lines)
    lines = [f"the edge logs reason={verification.reason}", *notes]
    lines += _signature_faults(inquiry, verification.reason)
    return Explanation(401, False, [*lines, *_signed_time(inquiry, ok=False)])


# ---- the signature


def _signature_faults(inquiry: Inquiry, reason: Reason) -> list[str]:
    """What is wrong with the signature, apart from its time."""
    source, captured, keys = inquiry.source, inquiry.captured, inquiry.keys
    signature = source.signature
    labels = ", ".join(dict.fromkeys(key.label for key in keys))
    tried = f"Tried: {labels}. More environment variables can be tried with --try VARIABLE"
    if token := token_problems(signature, captured, keys):
        return token
    if signature.scheme == "token":
        if reason is Reason.MISSING:
            return [_header_missing(signature, captured, [])]
        return [f"the token matches none of the known keys. {tried}"]
    macs = find_macs(captured)
    known = presets.signatures()
    matches = search(captured, keys, macs, [signature, *known.values()])
    if matches:
        fewest = min((differences(match, signature, known) for match in matches), key=len)
        return fewest or [_valid_but_rejected(signature, reason)]
    if reason in SIGNED_PART_MISSING:
        return [_signed_part_missing(signature, reason)]
    if reason is Reason.MISSING:
        return [_header_missing(signature, captured, macs)]
    if not macs:
        return [_no_signature(signature, captured)]
    return [
        "no known key made it, over this body or any usual variant of it: the courier signs with "
        f"another secret, or the body was changed in another way. {tried}"
    ]


def _valid_but_rejected(signature: Signature, reason: Reason) -> str:
    if reason is Reason.MALFORMED:
        return (
            "the signature is right, but its header contains more than one time or cannot be "
            "parsed as a whole"
        )
    right = "the signature is right (key, body and encoding fit)"
    if reason in SIGNED_PART_MISSING:
        return f"{right}, but {_signed_part_missing(signature, reason)}"
    return right


def _signed_part_missing(signature: Signature, reason: Reason) -> str:
    time = signature.timestamp_header or f"t=… in {signature.header}"
    return SIGNED_PART_MISSING[reason].format(id=signature.id_header, time=time)


def _header_missing(signature: Signature, captured: Captured, macs: Sequence[FoundMac]) -> str:
    state = "missing" if captured.header(signature.header) is None else "empty"
    names = ", ".join(dict.fromkeys(mac.header for mac in macs))
    return f"the header {signature.header} is {state}; " + (
        f"{names} contains what looks like a signature, and no known key made it"
        if names
        else "no other header contains what looks like a signature"
    )


def _no_signature(signature: Signature, captured: Captured) -> str:
    value = captured.header(signature.header) or ""
    expected = {
        "stripe": "t=<seconds>,v1=<64 hex digits>",
        "standard-webhooks": "v1,<base64 of 32 bytes>",
    }.get(signature.scheme, f"{signature.prefix}<{signature.encoding} of 32 bytes>")
    return (
        f"the value of {signature.header} ({len(value)} characters) is not a signature in any "
        f"known encoding; this source expects {expected}"
    )


# ---- the signed time


def _signed_time(inquiry: Inquiry, ok: bool) -> list[str]:
    """The signed time compared with ``now``; empty if there is none."""
    signature = inquiry.source.signature
    if not signature.tolerance_seconds:
        return []
    names = {signature.header.lower(), signature.timestamp_header.lower()}
    headers = [header for header in inquiry.captured.headers if header[0].lower() in names]
    text = next(signed_times(replace(inquiry.captured, headers=headers), [signature]), None)
    if text is None:
        return []
    why = timestamp_fault(text, inquiry.now, signature.tolerance_seconds)
    if why is Reason.TIMESTAMP_MALFORMED:
        unit = " Is it in milliseconds, not seconds?" if len(text) == 13 else ""
        return [f"the signed time is not a plain decimal number of seconds since 1970.{unit}"]
    off = inquiry.now - int(text)
    side = "before" if off >= 0 else "after"
    comparison = (
        f"signed at {_moment(int(text))}, {abs(off):.0f} s {side} {_moment(inquiry.now)} "
        f"(tolerance {signature.tolerance_seconds} s either way)"
    )
    if ok:
        return [comparison]
    if why is None:
        return [f"the time is right: {comparison}"]
    cause = (
        "the courier's clock is behind or ours is ahead, or the request took that long to arrive"
        if off >= 0
        else "the courier's clock is ahead or ours is behind"
    )
    return [
        f"skewed by {abs(off):.0f} s: {comparison}: {cause}. If the capture is merely old, "
        f"--now {text} judges it as of its own time"
    ]


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s after 1970"


# ---- the event, once the signature is verified


def _explain_event(
    source: Source, verification: Verification, body: bytes, now: float
) -> Explanation:
    lines = list(_signer(source, verification))
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return Explanation(400, False, [*lines, f"{problems.NOT_JSON.title}: {error}"])
    if type(document) is not dict:
        return Explanation(400, False, [*lines, problems.NOT_AN_OBJECT.title])
    try:
        name = event_id(source, verification.event_id, document, body)
    except NoEventId as error:
        return Explanation(400, False, [*lines, f"no usable event id: {error}"])
    id = f"{source.name}:{name}"
    lines.append(f"event id: {id} ({event_id_origin(source)})")
    good = True
    try:
        event = to_canonical(id, source, body, datetime.fromtimestamp(now, UTC))
        at = event.occurred_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        lines.append(
            f"event: shipment {event.shipment_id}, status {event.status}, occurred at {at}"
        )
    except Malformed as error:
        good = False
        lines.append(f"the edge accepts it, but it becomes a dead letter (malformed): {error}")
    except Ignored as ignored:
        lines.append(
            f"status {ignored.ledger_fields['courier_status']!r} is ignored by this source's "
            "status map: recorded, and no shipment changes"
        )
    return Explanation(202, good, lines)


def _signer(source: Source, verification: Verification) -> Iterator[str]:
    is_token = source.signature.scheme == "token"
    yield f"the {'token' if is_token else 'signature'} is right, by {verification.secret}"
    current = source.secrets[0].label
    if verification.secret != current:
        yield (
            f"{verification.secret} is not the first of secrets_env: the courier has not switched "
            f"to {current} yet; keep the old secret live until it has"
        )
    if is_token:
        yield "token-only: anyone who has seen one request can forge others"


def event_id_origin(source: Source) -> str:
    """The part of a request that the source's event ids are taken from."""
    signature, pointer = source.signature, source.pointers.event_id
    if signature.id_header:
        signed = "not signed" if signature.scheme == "body-hmac" else "signed"
        return f"header {signature.id_header}, {signed}"
    if pointer is not None:
        return f"{pointer.text} in the body"
    if source.dedup_fields:
        return "SHA-256 of " + ", ".join(field.text for field in source.dedup_fields)
    return "SHA-256 of the body"
