"""The signed time of a request."""

from __future__ import annotations

from gateway.edge.signatures.verification import Reason

DIGITS = 12  # enough for 30,000 years; more would only be work to parse


def untimely(text: str, now: float, tolerance: int) -> Reason | None:
    """Why the time in ``text`` (decimal seconds since 1970) will not do, or None.

    Symmetric: a request from the future would otherwise stay valid for as long as it likes.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        return Reason.TIMESTAMP_MALFORMED
    if abs(now - int(text)) > tolerance:
        return Reason.TIMESTAMP_OUTSIDE_TOLERANCE
    return None
