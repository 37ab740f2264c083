"""One call to the Routing Service, and what its failures mean.

The client never repeats a call: the queue does, with backoff, and the Idempotency-Key makes that
safe whether or not the service had acted on the first one.
"""

from __future__ import annotations

import string
from email.utils import parsedate_to_datetime
from time import monotonic, time
from typing import Any
from urllib.parse import quote

import bson
import orjson
import urllib3
from bson.errors import BSONError
from urllib3.exceptions import HTTPError, NewConnectionError, TimeoutError

from workers.errors import Permanent, Transient

PRODUCT = "fincart-gateway"
# For a TCP connection. Longer holds a slot while the service's host is down, shorter fails calls
# whose first packet was lost.
CONNECT_SECONDS = 2.0
# An answer is kept in Redis and MongoDB: a larger limit lets a faulty service fill them.
ANSWER_MAX_BYTES = 65_536
# A longer Retry-After is cut to this, so that a wrong header cannot delay an event for days.
RETRY_AFTER_MAX_SECONDS = 3_600.0
TRANSIENT_STATUSES = frozenset({408, 425, 429})  # of the 4xx; every other is permanent
PUSHBACK_STATUSES = frozenset({429, 503})
# An event id may hold any printable character, a header only ASCII. All others, spaces and the
# percent sign itself are percent-encoded, so that two ids never share a key.
_KEY_SAFE = (string.punctuation + string.digits + string.ascii_letters).replace("%", "")


def user_agent(owner: str, boot: str, pid: int) -> str:
    """The User-Agent that names the worker process, so that the Routing Service can tell whose call
    it is. What a host's name holds beyond letters, digits and -._~ is percent-encoded."""
    return f"{PRODUCT} ({quote(owner)}; boot {boot}; pid {pid})"


class RoutingClient:
    """Safe for threads. timeout_seconds: for the answer. max_calls: at once. caller: see
    ``user_agent``."""

    def __init__(
        self, url: str, timeout_seconds: float, max_calls: int, caller: str = PRODUCT
    ) -> None:
        self._url, self._timeout_seconds = url.rstrip("/") + "/v1/routes", timeout_seconds
        self._headers = {"Content-Type": "application/json", "User-Agent": caller}
        self._pool = urllib3.PoolManager(
            maxsize=max_calls,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=timeout_seconds),
        )

    def route(self, key: str, request: dict[str, Any]) -> dict[str, Any]:
        """Ask for a route. Raises ``Transient`` or ``Permanent``."""
        try:
            response = self._pool.request(
                "POST",
                self._url,
                body=orjson.dumps(request, default=str),
                redirect=False,
                preload_content=False,
                headers={**self._headers, "Idempotency-Key": quote(key, safe=_KEY_SAFE)},
            )
            try:
                body = self._body(response)
            except BaseException:
                response.close()  # unread bytes would be taken for the next call's answer
                raise
            finally:
                response.release_conn()
        except HTTPError as error:
            # In urllib3 a refused connection is a subclass of a timeout.
            late = isinstance(error, TimeoutError) and not isinstance(error, NewConnectionError)
            kind = "timeout" if late else "broken"
            raise Transient(f"{kind}: {type(error).__name__}", pushback=late) from error
        return _read(response.status, response.headers.get("Retry-After"), body)

    def _body(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """The whole body, within the timeout: urllib3's own applies to each read, so a body that
        comes byte by byte would never end."""
        until = monotonic() + self._timeout_seconds
        body = bytearray()
        while part := response.read1(ANSWER_MAX_BYTES):
            body += part
            if len(body) > ANSWER_MAX_BYTES:
                raise Transient(f"answer longer than {ANSWER_MAX_BYTES} bytes")
            if monotonic() > until:
                raise Transient("timeout: the answer does not end", pushback=True)
        return bytes(body)


def _read(status: int, retry_after: str | None, body: bytes) -> dict[str, Any]:
    if 200 <= status < 300:
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict) or not _can_be_stored(answer):
            raise Transient(f"status {status} with a body that is not a JSON object")
        return answer
    if 400 <= status < 500 and status not in TRANSIENT_STATUSES:
        raise Permanent(f"status {status}")
    # A redirect is transient, too: it more likely comes from a proxy than from the service.
    pushback = status in PUSHBACK_STATUSES
    raise Transient(f"status {status}", read_retry_after(retry_after, time()), pushback)


def _can_be_stored(answer: dict[str, Any]) -> bool:
    """Whether MongoDB can store it: no names with NUL, no whole numbers beyond 64 bits."""
    try:
        bson.encode(answer)
    except (BSONError, OverflowError, RecursionError):
        return False
    return True


def read_retry_after(header: str | None, now: float) -> float:
    """Seconds to wait by a Retry-After header: a number or a date (RFC 9110); 0 if it is neither.

    now: seconds since 1970.
    """
    if not header:
        return 0.0
    text = header.strip()
    try:
        if text.isascii() and text.isdigit():
            seconds = float(text[:12])
        else:
            seconds = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(RETRY_AFTER_MAX_SECONDS, max(0.0, seconds))
