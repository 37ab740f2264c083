"""Checks the signed timestamp of a request."""

from __future__ import annotations

from gateway.edge.signatures.verification import Reason

TIMESTAMP_DIGITS_MAX = 12  # enough for 30,000 years; bounds the cost of parsing


def timestamp_fault(text: str, now: float, tolerance_seconds: int) -> Reason | None:
    """Why the timestamp ``text`` (decimal seconds since 1970) is rejected, or None.

    The tolerance is symmetric: a timestamp far in the future would keep a captured request valid
    until then.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= TIMESTAMP_DIGITS_MAX):
        return Reason.TIMESTAMP_MALFORMED
    if abs(now - int(text)) > tolerance_seconds:
        return Reason.TIMESTAMP_OUTSIDE_TOLERANCE
    return None
