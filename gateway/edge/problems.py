"""Every error response of the edge, as an RFC 9457 problem with a stable ``type``.

Bodies are built once. Only the detail of a 400 holds text from a request, and only of one whose
signature was right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus

import falcon
import orjson

CONTENT_TYPE = "application/problem+json"
RETRY_SECONDS_MAX = 3600  # of a Retry-After; couriers give up on longer waits


@dataclass(frozen=True)
class Problem:
    """A kind of error response. code: the last part of its ``type``, which senders may rely on.
    closes_connection: the connection must be closed, because the end of the request is not
    certain."""

    status: HTTPStatus
    code: str
    title: str
    body: bytes
    closes_connection: bool = False

    def send(
        self,
        resp: falcon.Response,
        *,
        retry_after_seconds: float | None = None,
        detail: str | None = None,
    ) -> None:
        """Make it the response. retry_after_seconds: sent as a whole number of 1 or more."""
        resp.status = f"{self.status.value} {self.status.phrase}"
        resp.content_type = CONTENT_TYPE
        resp.data = (
            self.body if detail is None else _body(self.status, self.code, self.title, detail)
        )
        if retry_after_seconds is not None:
            resp.set_header("Retry-After", str(whole_seconds(retry_after_seconds)))


def whole_seconds(seconds: float) -> int:
    """Rounded up, from 1 to ``RETRY_SECONDS_MAX``; 1 for a NaN."""
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


def problem(
    status: int,
    code: str,
    title: str,
    detail: str | None = None,
    *,
    closes_connection: bool = False,
) -> Problem:
    known = HTTPStatus(status)
    return Problem(known, code, title, _body(known, code, title, detail), closes_connection)


BAD_LENGTH = problem(
    400,
    "bad-length",
    "The Content-Length is not a number, or the body is shorter",
    closes_connection=True,
)
NOT_JSON = problem(400, "not-json", "The body is not JSON")
NOT_AN_OBJECT = problem(400, "not-an-object", "The body is not a JSON object")
NO_EVENT_ID = problem(400, "no-event-id", "The event has no usable id")
BAD_REQUEST = problem(400, "bad-request", "The request is malformed")
# The same for every fault of a signature, so that a forger learns nothing from it.
UNAUTHENTICATED = problem(401, "unauthenticated", "The signature is missing or wrong")
NOT_FOUND = problem(404, "not-found", "No such path")
UNKNOWN_SOURCE = problem(404, "unknown-source", "No such source of events")
METHOD_NOT_ALLOWED = problem(
    405, "method-not-allowed", "This path does not support the method", "See the Allow header."
)
LENGTH_REQUIRED = problem(
    411,
    "length-required",
    "A Content-Length is required",
    "Send the body with a Content-Length and no Transfer-Encoding.",
    closes_connection=True,
)
TOO_LARGE = problem(413, "too-large", "The body is too large")
NOT_JSON_CONTENT = problem(
    415,
    "unsupported-media-type",
    "The content type is not JSON",
    "Send application/json or application/*+json, in UTF-8.",
)
OVER_QUOTA = problem(
    429,
    "over-quota",
    "This source sends more than its quota",
    "Nothing was stored; send the event again after Retry-After seconds.",
)
INTERNAL_ERROR = problem(
    500,
    "internal-error",
    "Internal error",
    "The event may or may not be stored; send it again.",
)
BACKLOG_FULL = problem(
    503,
    "backlog-full",
    "The backlog is full",
    "Nothing was stored; send the event again after Retry-After seconds.",
)
UNAVAILABLE = problem(
    503,
    "unavailable",
    "The event could not be stored safely",
    "Send it again after Retry-After seconds; a repeat is safe.",
)
NOT_READY = problem(503, "not-ready", "The gateway does not accept events now")
