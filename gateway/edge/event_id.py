"""Which event is this? Its id is what makes a repeat a repeat, so it must be stable and readable.

In this order: the id in the source's header for it; the value that the source's pointer names; and
for couriers that send none, the SHA-256 of what identifies the scan, or of the body.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import orjson

from conf.sources.json_pointer import MISSING
from conf.sources.model import Source

MAX_CHARACTERS = 200
SAFE_DIGITS = 18  # fit into 64 bits

# Characters that Python calls printable and a terminal shows as nothing: joiners, fillers, blanks
# and variation selectors. Two ids must not look the same because one of them hides something.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U00016fe4\U0001d159\U000e0100-\U000e01ef]"
)


class NoEventId(Exception):
    """The body has no usable event id; ``str()`` tells the sender why."""


def event_id(source: Source, header: str | None, document: Any, body: bytes) -> str:
    """The event's id within its source. header: the id from the source's header for it.

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
        # The hash of nothing would make all such events one.
        fields = ", ".join(field.text for field in source.dedup_fields)
        raise NoEventId(f"none of the fields that identify the event is there: {fields}")
    if any(isinstance(value, float | list | dict) for value in values):
        values = _exactly(source, body)
    known = [None if value is MISSING else value for value in values]
    try:
        content = orjson.dumps(known, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise NoEventId(f"the fields that identify the event cannot be compared: {error}") from None
    return hashlib.sha256(content).hexdigest()


def _exactly(source: Source, body: bytes) -> list[Any]:
    """The fields that identify the scan, with every number as the courier wrote it: those beyond
    64 bits, which orjson rounds, would make one event of two."""
    try:
        document = json.loads(body, parse_int=_number, parse_float=_number)
    except RecursionError:
        raise NoEventId("the body is nested too deeply for its events to be told apart") from None
    return [field.resolve(document) for field in source.dedup_fields]


def _number(text: str) -> int | dict[str, str]:
    """A number as it was written, unlike every string."""
    return int(text) if len(text) <= SAFE_DIGITS and text.isdigit() else {"number": text}


def _usable(value: Any, what: str) -> str:
    if value is MISSING:
        raise NoEventId(f"{what} is missing")
    if type(value) is int:  # exact, unlike a float; a bool is no int here
        value = str(value)
    if not isinstance(value, str):
        raise NoEventId(f"{what} is neither a string nor a whole number")
    if not value.strip(" "):
        raise NoEventId(f"{what} is empty")
    if len(value) > MAX_CHARACTERS:
        raise NoEventId(f"{what} has more than {MAX_CHARACTERS} characters")
    if not value.isprintable() or (not value.isascii() and _INVISIBLE.search(value)):
        raise NoEventId(f"{what} has characters that cannot be printed")
    return value
