"""From a courier's payload to the canonical event: the same fields, statuses and times for all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from conf.sources.json_pointer import MISSING, Pointer
from conf.sources.model import Source
from conf.sources.statuses import Status
from workers.errors import Ignored, Malformed

# How far a courier's clock may run ahead of ours. A time far in the future would make every later
# event of the shipment late; a smaller bound would reorder events of couriers whose clocks are off.
COURIER_CLOCK_AHEAD_MAX = timedelta(minutes=5)
SHIPMENT_ID_MAX_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class CanonicalEvent:
    """id: ``<source>:<event id>``. occurred_at: courier time, at most ``COURIER_CLOCK_AHEAD_MAX``
    after received_at; received_at where the courier sends none. Times are UTC, in whole
    milliseconds, as MongoDB keeps them."""

    id: str
    source: str
    shipment_id: str
    status: Status
    occurred_at: datetime
    received_at: datetime

    def ledger_fields(self) -> dict[str, Any]:
        """What the ledger records about the event."""
        return {
            "shipment_id": self.shipment_id,
            "status": self.status.value,
            "occurred_at": self.occurred_at,
        }


def to_canonical(id: str, source: Source, body: bytes, received_at: datetime) -> CanonicalEvent:
    """Read a signed body by its source's table.

    Raises ``Malformed``, which names the field, or ``Ignored``, whatever the other fields hold.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"body is not JSON: {error}") from None
    _raise_if_ignored(document, source)
    shipment_id = _value(document, source.pointers.shipment_id, "shipment id")
    # Printable, because error messages quote it in operators' terminals.
    if not (
        isinstance(shipment_id, str)
        and 0 < len(shipment_id) <= SHIPMENT_ID_MAX_CHARACTERS
        and shipment_id.isprintable()
    ):
        raise Malformed(
            f"shipment id at {_text(source.pointers.shipment_id)} is not a string of "
            f"1 to {SHIPMENT_ID_MAX_CHARACTERS} printable characters"
        )
    courier_status = _value(document, source.pointers.status, "status")
    status = source.status(courier_status)
    if status is None:
        raise Malformed(
            f"status {_quoted(courier_status)} at {_text(source.pointers.status)} is not in "
            f"the status map of source {source.name}"
        )
    received_at = _whole_ms(received_at)
    occurred_at = _occurred_at(document, source.pointers.occurred_at) or received_at
    return CanonicalEvent(
        id=id,
        source=source.name,
        shipment_id=shipment_id,
        status=status,
        occurred_at=min(occurred_at, received_at + COURIER_CLOCK_AHEAD_MAX),
        received_at=received_at,
    )


def _raise_if_ignored(document: Any, source: Source) -> None:
    courier_status = _resolve(document, source.pointers.status)
    if not source.ignores(courier_status):
        return
    ledger_fields = {"courier_status": str(courier_status)}
    shipment_id = _resolve(document, source.pointers.shipment_id)
    if isinstance(shipment_id, str) and len(shipment_id) <= SHIPMENT_ID_MAX_CHARACTERS:
        ledger_fields["shipment_id"] = shipment_id
    raise Ignored(ledger_fields)


def _resolve(document: Any, pointer: Pointer | None) -> Any:
    return MISSING if pointer is None else pointer.resolve(document)


def _value(document: Any, pointer: Pointer | None, what: str) -> Any:
    value = _resolve(document, pointer)
    if value is MISSING or value is None:
        raise Malformed(f"no {what} at {_text(pointer)}")
    return value


def _text(pointer: Pointer | None) -> str:
    return "(no pointer configured)" if pointer is None else pointer.text


def _quoted(value: Any) -> str:
    """The first 40 characters of a value, for a message; the type alone of an object or a list,
    which may be nested too deeply to be printed."""
    return f"<{type(value).__name__}>" if isinstance(value, dict | list) else repr(str(value)[:40])


def _occurred_at(document: Any, pointer: Pointer | None) -> datetime | None:
    value = _resolve(document, pointer)
    if value is MISSING or value is None:
        return None
    try:
        if not isinstance(value, str):
            raise ValueError
        moment = datetime.fromisoformat(value)
        # A time without an offset counts as UTC. That may be wrong, but it is the same for every
        # event of the courier, so their order stays right.
        return _whole_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise Malformed(f"time {_quoted(value)} at {_text(pointer)} is not ISO 8601") from None


def _whole_ms(moment: datetime) -> datetime:
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
