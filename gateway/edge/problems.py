"""Every refusal of the edge, as an RFC 9457 problem with a stable ``type``.

Bodies are built once. Nothing in them comes from a request but the detail of a 400, and that only
after the signature was right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus

import falcon
import orjson

CONTENT_TYPE = "application/problem+json"
RETRY_SECONDS_MAX = 3600  # a sender told to wait longer than this may as well give up


@dataclass(frozen=True)
class Problem:
    """A kind of refusal. code: the last part of its ``type``, which senders may rely on. closes:
    where the request ended is not certain, so it was the last one on its connection."""

    status: HTTPStatus
    code: str
    title: str
    body: bytes
    closes: bool = False

    def send(
        self,
        resp: falcon.Response,
        *,
        retry_after_seconds: float | None = None,
        detail: str | None = None,
    ) -> None:
        """Answer with it. retry_after_seconds: sent as a whole number of 1 or more."""
        resp.status = f"{self.status.value} {self.status.phrase}"
        resp.content_type = CONTENT_TYPE
        resp.data = (
            self.body if detail is None else _body(self.status, self.code, self.title, detail)
        )
        if retry_after_seconds is not None:
            resp.set_header("Retry-After", str(whole_seconds(retry_after_seconds)))


def whole_seconds(seconds: float) -> int:
    """At least 1, at most ``RETRY_SECONDS_MAX``; 1 for what is no number."""
    return math.ceil(min(max(seconds, 1.0), RETRY_SECONDS_MAX)) if seconds == seconds else 1


def _body(status: HTTPStatus, code: str, title: str, detail: str | None) -> bytes:
    members: dict[str, str | int] = {
        "type": f"urn:fincart:problem:{code}",
        "title": title,
        "status": status.value,
    }
    if detail is not None:
        members["detail"] = detail
    return orjson.dumps(members)


def _problem(
    status: int, code: str, title: str, detail: str | None = None, *, closes: bool = False
) -> Problem:
    known = HTTPStatus(status)
    return Problem(known, code, title, _body(known, code, title, detail), closes)


BAD_LENGTH = _problem(
    400, "bad-length", "The Content-Length is no length, or the body is shorter", closes=True
)
NOT_JSON = _problem(400, "not-json", "The body is not JSON")
NOT_AN_OBJECT = _problem(400, "not-an-object", "The body is not a JSON object")
NO_EVENT_ID = _problem(400, "no-event-id", "The event has no usable id")
BAD_REQUEST = _problem(400, "bad-request", "The request cannot be understood")
# One body for whatever was wrong with a signature: a forger shall learn nothing from it.
UNAUTHENTICATED = _problem(401, "unauthenticated", "The request is not signed as it must be")
NOT_FOUND = _problem(404, "not-found", "There is nothing here")
UNKNOWN_SOURCE = _problem(404, "unknown-source", "No such source of events")
METHOD_NOT_ALLOWED = _problem(
    405, "method-not-allowed", "Not with this method", "See the Allow header."
)
LENGTH_REQUIRED = _problem(
    411,
    "length-required",
    "A Content-Length is required",
    "Send the body with a Content-Length and no Transfer-Encoding.",
    closes=True,
)
TOO_LARGE = _problem(413, "too-large", "The body is too large")
NOT_JSON_CONTENT = _problem(
    415,
    "unsupported-media-type",
    "The content type is not JSON",
    "Send application/json or application/*+json, in UTF-8.",
)
OVER_QUOTA = _problem(
    429,
    "over-quota",
    "This source sends more than its quota",
    "Nothing was stored; send the event again after Retry-After seconds.",
)
INTERNAL_ERROR = _problem(
    500,
    "internal-error",
    "Something went wrong here",
    "Whether the event was stored is not known; send it again.",
)
BACKLOG_FULL = _problem(
    503,
    "backlog-full",
    "Too many events are waiting",
    "Nothing was stored; send the event again after Retry-After seconds.",
)
UNAVAILABLE = _problem(
    503,
    "unavailable",
    "The event could not be stored safely",
    "Send it again after Retry-After seconds; a repeat does no harm.",
)
NOT_READY = _problem(503, "not-ready", "The gateway cannot take events now")

# The ops port's own.
UNAUTHORISED = _problem(
    401,
    "unauthorised",
    "The bearer token is missing or wrong",
    "Send Authorization: Bearer <OPS_TOKEN>.",
)
UNKNOWN_EVENT = _problem(
    404,
    "unknown-event",
    "Redis does not know this event",
    "The ledger may: python -m gateway show ID.",
)
REDIS_AWAY = _problem(503, "redis-away", "Redis does not answer")
