"""One call to the Routing Service, and what its failures mean.

Never repeats a call by itself: the queue does, with backoff, and the Idempotency-Key makes it safe
whether or not the service had acted.
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

CONNECT_SECONDS = 2.0
ANSWER_MAX_BYTES = 65_536
RETRY_AFTER_MAX = 3_600.0  # no service may park an event for days
TRANSIENT = frozenset({408, 425, 429})
PUSHBACK = frozenset({429, 503})
# An event id may hold any printable character, a header only ASCII. Others, blanks and the percent
# sign itself are percent-encoded, so that two ids never become one key.
_KEY_SAFE = (string.punctuation + string.digits + string.ascii_letters).replace("%", "")


class RoutingClient:
    """Safe for threads. timeout: seconds to wait for the answer. calls: at once, at most."""

    def __init__(self, url: str, timeout: float, calls: int) -> None:
        self._url, self._timeout = url.rstrip("/") + "/v1/routes", timeout
        self._pool = urllib3.PoolManager(
            maxsize=calls,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=timeout),
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
                headers={
                    "Content-Type": "application/json",
                    "Idempotency-Key": quote(key, safe=_KEY_SAFE),
                },
            )
            try:
                body = self._body(response)
            except BaseException:
                response.close()  # what is unread would be taken for the next call's answer
                raise
            finally:
                response.release_conn()
        except HTTPError as error:
            # To urllib3 a refused connection is a timeout as well.
            late = isinstance(error, TimeoutError) and not isinstance(error, NewConnectionError)
            kind = "timeout" if late else "broken"
            raise Transient(f"{kind}: {type(error).__name__}", pushback=late) from error
        return _read(response.status, response.headers.get("Retry-After"), body)

    def _body(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """All of it, in bounds: the read timeout alone would let it drip for ever."""
        until = monotonic() + self._timeout
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
        if not isinstance(answer, dict) or not _can_be_kept(answer):
            raise Transient(f"status {status} with a body that is not a JSON object")
        return answer
    if 400 <= status < 500 and status not in TRANSIENT:
        raise Permanent(f"status {status}")
    # A redirect, too, is no word on the request: more likely something stands in between.
    raise Transient(f"status {status}", seconds(retry_after), pushback=status in PUSHBACK)


def _can_be_kept(answer: dict[str, Any]) -> bool:
    """Not every JSON object can be a document: names with NUL, whole numbers beyond 64 bits."""
    try:
        bson.encode(answer)
    except (BSONError, OverflowError, RecursionError):
        return False
    return True


def seconds(retry_after: str | None) -> float:
    """A Retry-After header in seconds: a number or a date (RFC 9110); 0 for what is neither."""
    if not retry_after:
        return 0.0
    text = retry_after.strip()
    try:
        if text.isascii() and text.isdigit():
            wait = float(text[:12])
        else:
            wait = parsedate_to_datetime(text).timestamp() - time()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(RETRY_AFTER_MAX, max(0.0, wait))
