"""Finds the id of an event. Two requests with the same id are one event, so it must be stable.

In this order: the id in the source's id header; the value at the source's event_id pointer; for
couriers that send no id, the SHA-256 of the fields that identify the scan, or of the whole body.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import orjson

from conf.sources.json_pointer import MISSING
from conf.sources.model import Source

ID_CHARACTERS_MAX = 200
INT64_DIGITS = 18  # a whole number of so many digits fits into 64 bits

# Characters that Python calls printable although a terminal shows nothing for them: joiners,
# fillers, blanks and variation selectors. With them two different ids could look the same.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U00016fe4\U0001d159\U000e0100-\U000e01ef]"
)


class NoEventId(Exception):
    """The event has no usable id; ``str()`` is the reason, for the sender."""


def event_id(source: Source, header: str | None, document: Any, body: bytes) -> str:
    """The event's id within its source. header: the value of the source's id header, if any.

    Raises ``NoEventId``.
    """
    if header is not None or source.signature.id_header:
        name = source.signature.id_header
        what = f"the event id in {name}" if name else "the event id in a header"
        return _usable(MISSING if header is None else header, what)
    pointer = source.pointers.event_id
    if pointer is not None:
        return _usable(pointer.resolve(document), f"the event id at {pointer.text}")
    if not source.dedup_fields:
        return hashlib.sha256(body).hexdigest()
    values = [field.resolve(document) for field in source.dedup_fields]
    if all(value is MISSING or value is None for value in values):
        # All such events would have the same hash and count as one event.
        fields = ", ".join(field.text for field in source.dedup_fields)
        raise NoEventId(f"all fields that identify the event are missing: {fields}")
    if any(isinstance(value, float | list | dict) for value in values):
        values = _exact_values(source, body)
    known = [None if value is MISSING else value for value in values]
    try:
        content = orjson.dumps(known, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise NoEventId(f"the fields that identify the event cannot be compared: {error}") from None
    return hashlib.sha256(content).hexdigest()


def _exact_values(source: Source, body: bytes) -> list[Any]:
    """The fields that identify the scan, with every number as the courier wrote it. orjson rounds
    numbers beyond 64 bits, which could make two events look like one."""
    try:
        document = json.loads(body, parse_int=_number, parse_float=_number)
    except RecursionError:
        raise NoEventId("the body is nested too deeply to identify its event") from None
    return [field.resolve(document) for field in source.dedup_fields]


def _number(text: str) -> int | dict[str, str]:
    """A number as it was written, in a form that no string of the body has."""
    return int(text) if len(text) <= INT64_DIGITS and text.isdigit() else {"number": text}


def _usable(value: Any, what: str) -> str:
    if value is MISSING:
        raise NoEventId(f"{what} is missing")
    if type(value) is int:  # exact, unlike a float; a bool is no int here
        value = str(value)
    if not isinstance(value, str):
        raise NoEventId(f"{what} is neither a string nor a whole number")
    if not value.strip(" "):
        raise NoEventId(f"{what} is empty")
    if len(value) > ID_CHARACTERS_MAX:
        raise NoEventId(f"{what} has more than {ID_CHARACTERS_MAX} characters")
    if not value.isprintable() or (not value.isascii() and _INVISIBLE.search(value)):
        raise NoEventId(f"{what} has characters that cannot be printed")
    return value
