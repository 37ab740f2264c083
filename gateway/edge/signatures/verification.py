"""The interface of a signature scheme: its input, its result, and the reasons of a rejection."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, Protocol

# Returns a header by its WSGI name (HTTP_X_SIGNATURE), which a scheme builds once, not per request.
# The value is the header's bytes decoded as Latin-1, as WSGI defines it.
HeaderLookup = Callable[[str], str | None]


class Reason(StrEnum):
    """Why a request was rejected; for the log only."""

    MISSING = "missing"
    MALFORMED = "malformed"
    MISMATCH = "mismatch"
    ID_MISSING = "id_missing"
    TIMESTAMP_MISSING = "timestamp_missing"
    TIMESTAMP_MALFORMED = "timestamp_malformed"
    TIMESTAMP_OUTSIDE_TOLERANCE = "timestamp_outside_tolerance"


class Verification(NamedTuple):
    """reason: None if the request is authentic. Then ``secret`` is the label of the key that
    matched, and ``event_id`` the value of the source's id header, if it has one."""

    reason: Reason | None
    secret: str = ""
    event_id: str | None = None

    @property
    def ok(self) -> bool:
        return self.reason is None


class Scheme(Protocol):
    """A signature scheme, prepared for one source."""

    def verify(self, headers: HeaderLookup, body: bytes, now: float) -> Verification:
        """now: seconds since 1970."""


def environ_name(header: str) -> str:
    """The WSGI name of a header."""
    return "HTTP_" + header.upper().replace("-", "_")


def raw(text: str) -> bytes | None:
    """The bytes that the client sent as ``text``; None for a text that WSGI cannot contain."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return None


def header_id(text: str | None) -> str | None:
    """An event id from its header, decoded as UTF-8. Other bytes become surrogates, which
    ``event_id`` rejects."""
    content = None if text is None else raw(text)
    return None if content is None else content.decode("utf-8", "surrogateescape")
