"""From a courier's payload to the canonical event: one vocabulary, one clock, one identity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from conf.sources.json_pointer import MISSING, Pointer
from conf.sources.model import Source
from conf.sources.statuses import Status
from workers.errors import Ignored, Malformed

# How far a courier's clock may run ahead of ours: one wrong clock must not freeze a shipment by a
# time that no later event reaches.
AHEAD_MAX = timedelta(minutes=5)
SHIPMENT_ID_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class CanonicalEvent:
    """id: ``<source>:<event id>``. occurred_at: courier time, never later than received + 5 min;
    where the courier sends none, the time of receipt. To the millisecond, as MongoDB keeps it."""

    id: str
    source: str
    shipment_id: str
    status: Status
    occurred_at: datetime
    received_at: datetime

    def facts(self) -> dict[str, Any]:
        """What the ledger writes down about it."""
        return {
            "shipment_id": self.shipment_id,
            "status": self.status.value,
            "occurred_at": self.occurred_at,
        }


def canonical(id: str, source: Source, body: bytes, received_at: datetime) -> CanonicalEvent:
    """Read a signed body by its source's table.

    Raises ``Malformed`` that says which field, or ``Ignored``, which needs no other field.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"body is not JSON: {error}") from None
    _unless_ignored(document, source)
    shipment_id = _value(document, source.pointers.shipment_id, "shipment id")
    # Printable, for it stands in errors that operators read in a terminal.
    if not (
        isinstance(shipment_id, str)
        and 0 < len(shipment_id) <= SHIPMENT_ID_CHARACTERS
        and shipment_id.isprintable()
    ):
        raise Malformed(
            f"shipment id at {_text(source.pointers.shipment_id)} is not a string of "
            f"1 to {SHIPMENT_ID_CHARACTERS} printable characters"
        )
    word = _value(document, source.pointers.status, "status")
    status = source.status(word)
    if status is None:
        raise Malformed(
            f"status {_shown(word)} at {_text(source.pointers.status)} is not in "
            f"the status map of source {source.name}"
        )
    received_at = _whole_ms(received_at)
    occurred_at = _occurred_at(document, source.pointers.occurred_at) or received_at
    return CanonicalEvent(
        id=id,
        source=source.name,
        shipment_id=shipment_id,
        status=status,
        occurred_at=min(occurred_at, received_at + AHEAD_MAX),
        received_at=received_at,
    )


def _unless_ignored(document: Any, source: Source) -> None:
    word = MISSING if source.pointers.status is None else source.pointers.status.resolve(document)
    if not source.ignores(word):
        return
    facts = {"courier_status": str(word)}
    pointer = source.pointers.shipment_id
    shipment_id = MISSING if pointer is None else pointer.resolve(document)
    if isinstance(shipment_id, str) and len(shipment_id) <= SHIPMENT_ID_CHARACTERS:
        facts["shipment_id"] = shipment_id
    raise Ignored(facts)


def _value(document: Any, pointer: Pointer | None, what: str) -> Any:
    value = MISSING if pointer is None else pointer.resolve(document)
    if value is MISSING or value is None:
        raise Malformed(f"no {what} at {_text(pointer)}")
    return value


def _text(pointer: Pointer | None) -> str:
    return "(no pointer configured)" if pointer is None else pointer.text


def _shown(value: Any) -> str:
    """The beginning of a value, for a message; no more than its kind for what may be nested too
    deeply to be written out."""
    return f"<{type(value).__name__}>" if isinstance(value, dict | list) else repr(str(value)[:40])


def _occurred_at(document: Any, pointer: Pointer | None) -> datetime | None:
    value = MISSING if pointer is None else pointer.resolve(document)
    if value is MISSING or value is None:
        return None
    try:
        if not isinstance(value, str):
            raise ValueError
        moment = datetime.fromisoformat(value)
        # A time without an offset is taken for UTC: a guess, and the same one for every event.
        return _whole_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise Malformed(f"time {_shown(value)} at {_text(pointer)} is not ISO 8601") from None


def _whole_ms(moment: datetime) -> datetime:
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
