"""Makes a payload for any source from its table."""

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
    """The body that the courier would send, with its own name for the status.

    Raises ``ValueError`` if the source's status map has no name for it.
    """
    names = [
        name for name, canonical in source.statuses.items() if canonical is status and name != OTHER
    ]
    if not names:
        raise ValueError(f"source {source.name} has no name for status {status}")
    p = source.pointers
    document: Any = {}
    for pointer, value in (
        (p.event_id, event_id),
        (p.shipment_id, shipment_id),
        (p.status, names[0]),
        (p.occurred_at, occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z")),
    ):
        if pointer is not None:
            document = _with(document, pointer.tokens, value)
    for pointer in source.dedup_fields:
        if not isinstance(pointer.resolve(document), str):
            document = _with(document, pointer.tokens, event_id)
    return orjson.dumps(document)


def _with(place: Any, tokens: Sequence[str], value: str) -> Any:
    """``place`` with ``value`` at the pointer's tokens. Missing objects are added, or a list where
    the token is 0."""
    if not tokens:
        return value
    head, rest = tokens[0], tokens[1:]
    if head == "0" and not isinstance(place, dict):
        return [_with(place[0] if place else None, rest, value)]
    inner = place if isinstance(place, dict) else {}
    return {**inner, head: _with(inner.get(head), rest, value)}
