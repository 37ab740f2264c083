"""A payload in the shape of any source, made from its table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from conf.sources.model import OTHER, Source
from conf.sources.statuses import Status


def payload(
    source: Source, event_id: str, shipment_id: str, status: Status, occurred_at: datetime
) -> bytes:
    """The body that a courier would send, its own word for the status included.

    Raises ``ValueError`` when the source's status map has no word for it.
    """
    words = [
        word for word, canonical in source.statuses.items() if canonical is status and word != OTHER
    ]
    if not words:
        raise ValueError(f"source {source.name} has no word for status {status}")
    p = source.pointers
    document: Any = {}
    for pointer, value in (
        (p.event_id, event_id),
        (p.shipment_id, shipment_id),
        (p.status, words[0]),
        (p.occurred_at, occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z")),
    ):
        if pointer is not None:
            document = _with(document, pointer.tokens, value)
    for pointer in source.dedup_fields:
        if not isinstance(pointer.resolve(document), str):
            document = _with(document, pointer.tokens, event_id)
    return orjson.dumps(document)


def _with(place: Any, tokens: Sequence[str], value: str) -> Any:
    """``place`` with the value where the tokens lead; what is missing is made on the way, a list
    where the token is 0."""
    if not tokens:
        return value
    head, rest = tokens[0], tokens[1:]
    if head == "0" and not isinstance(place, dict):
        return [_with(place[0] if place else None, rest, value)]
    inner = place if isinstance(place, dict) else {}
    return {**inner, head: _with(inner.get(head), rest, value)}
