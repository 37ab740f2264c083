"""What becomes of a request whose signature is right: its event id, and the event in our words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import orjson

from conf.sources.model import Source
from gateway.edge import problems
from gateway.edge.event_id import NoEventId, event_id
from gateway.edge.signatures import Verification
from workers.canonical import to_canonical
from workers.errors import Ignored, Malformed


def outcome(
    source: Source, verification: Verification, body: bytes, now: float
) -> tuple[int, bool, list[str]]:
    """The edge's status, whether the event will be used, and the lines that say so."""
    lines = list(_signer(source, verification))
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return 400, False, [*lines, f"{problems.NOT_JSON.title}: {error}"]
    if type(document) is not dict:
        return 400, False, [*lines, problems.NOT_AN_OBJECT.title]
    try:
        name = event_id(source, verification.event_id, document, body)
    except NoEventId as error:
        return 400, False, [*lines, f"no usable event id: {error}"]
    id = f"{source.name}:{name}"
    lines.append(f"event id: {id} ({identity(source)})")
    try:
        event = to_canonical(id, source, body, datetime.fromtimestamp(now, UTC))
    except Malformed as error:
        return (
            202,
            False,
            [*lines, f"the edge takes it, but it would become a dead letter (malformed): {error}"],
        )
    except Ignored as ignored:
        return (
            202,
            True,
            [
                *lines,
                f"status {ignored.ledger_fields['courier_status']!r} is ignored by this "
                "source's status map: recorded, and no shipment changes",
            ],
        )
    occurred = event.occurred_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return (
        202,
        True,
        [
            *lines,
            f"event: shipment {event.shipment_id}, status {event.status}, occurred at {occurred}",
        ],
    )


def _signer(source: Source, verification: Verification) -> Iterator[str]:
    labels = [secret.label for secret in source.secrets]
    what = "token" if source.signature.scheme == "token" else "signature"
    yield f"the {what} is right, by {verification.secret}"
    if verification.secret != labels[0]:
        yield (
            f"{verification.secret} is not the first of secrets_env: the courier has not moved to "
            f"{labels[0]} yet; keep the old one live until it has"
        )
    if what == "token":
        yield "token-only: a party that has seen one request can forge others"


def identity(source: Source) -> str:
    """Where a source's event ids are from."""
    signature, pointer = source.signature, source.pointers.event_id
    if signature.id_header:
        how = "not signed" if signature.scheme == "body-hmac" else "signed"
        return f"header {signature.id_header}, {how}"
    if pointer is not None:
        return f"{pointer.text} in the body"
    if source.dedup_fields:
        return "SHA-256 of " + ", ".join(field.text for field in source.dedup_fields)
    return "SHA-256 of the body"
