"""A payload in the shape of any source, made from its table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from conf.json_pointer import Pointer
from conf.source import Source
from conf.statuses import Status


def payload(source: Source, event_id: str, shipment_id: str, status: Status,
            occurred_at: datetime) -> bytes:
    """The body that a courier would send, its own word for the status included.

    Raises ``ValueError`` when the source's status map has no word for it.
    """
    words = [word for word, canonical in source.statuses.items() if canonical is status]
    if not words:
        raise ValueError(f"source {source.name} has no word for status {status}")
    p = source.pointers
    document: dict[str, Any] = {}
    _put(document, p.event_id, event_id)
    _put(document, p.shipment_id, shipment_id)
    _put(document, p.status, words[0])
    _put(document, p.occurred_at, occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z"))
    for pointer in source.dedup_fields:
        if pointer.resolve(document) is None or not _holds(document, pointer):
            _put(document, pointer, event_id)
    return orjson.dumps(document)


def _holds(document: dict[str, Any], pointer: Pointer) -> bool:
    return isinstance(pointer.resolve(document), str)


def _put(document: dict[str, Any], pointer: Pointer | None, value: str) -> None:
    if pointer is None or not pointer.tokens:
        return
    place = document
    for token in pointer.tokens[:-1]:
        place = place.setdefault(token, {})
    place[pointer.tokens[-1]] = value
