"""What a scheme is asked and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, Protocol

# Asked by WSGI name (HTTP_X_SIGNATURE): the schemes make that name once, not at every request.
# Values are the header's bytes decoded as Latin-1, as WSGI has them.
Headers = Callable[[str], str | None]


class Reason(StrEnum):
    """Why a request was refused; for the operator's log alone."""

    MISSING = "missing"
    MALFORMED = "malformed"
    MISMATCH = "mismatch"
    ID_MISSING = "id_missing"
    TIMESTAMP_MISSING = "timestamp_missing"
    TIMESTAMP_MALFORMED = "timestamp_malformed"
    TIMESTAMP_OUTSIDE_TOLERANCE = "timestamp_outside_tolerance"


class Verification(NamedTuple):
    """reason: None where the request is authentic; then ``secret`` labels the key that matched,
    and ``event_id`` is the id that came in its header, where the source has one."""

    reason: Reason | None
    secret: str = ""
    event_id: str | None = None

    @property
    def ok(self) -> bool:
        return self.reason is None


class Scheme(Protocol):
    """A way of signing, prepared for one source."""

    def verify(self, headers: Headers, body: bytes, now: float) -> Verification:
        """now: seconds since 1970."""


def environ_name(header: str) -> str:
    """The WSGI name of a header."""
    return "HTTP_" + header.upper().replace("-", "_")


def raw(text: str) -> bytes | None:
    """The bytes that came over the wire; None for a text that never did."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return None


def header_id(text: str | None) -> str | None:
    """An event id from its header, which is UTF-8 if it is to be usable: what is not turns into
    characters that no event id may have."""
    wire = None if text is None else raw(text)
    return None if wire is None else wire.decode("utf-8", "surrogateescape")
