"""``POST /v1/events/{source}``: verify the event, make it durable, acknowledge it.

Invariants: a 2xx is sent only after Redis confirmed the write; a body is parsed only after its
signature was verified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_never

import falcon
import orjson

from conf.sources.model import Source
from gateway.edge import problems, request_body
from gateway.edge.event_id import NoEventId, event_id
from gateway.edge.meinheld_connection import close_after, remote
from gateway.edge.problems import Problem
from gateway.edge.redis_circuit_breaker import RedisCircuitBreaker
from gateway.edge.rejection_log import RejectionLog
from gateway.edge.signatures import Scheme
from scheduler.errors import RedisUnavailable
from scheduler.events import IncomingEvent

# Redis mostly recovers within seconds, and a repeat costs little while the circuit is open.
UNAVAILABLE_RETRY_SECONDS = 2.0

# Longest Retry-After of a full backlog, and its value while the backlog does not drain. Longer:
# senders wait although the workers may have recovered long before. Shorter: more repeats are
# rejected again, and some couriers give up after a number of rejections.
BACKLOG_RETRY_SECONDS_MAX = 300.0

DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An enabled source with its prepared signature scheme."""

    source: Source
    scheme: Scheme


class EventResource:
    """Answers posted events. now: seconds since 1970."""

    def __init__(
        self,
        endpoints: dict[str, Endpoint],
        breaker: RedisCircuitBreaker,
        rejection_log: RejectionLog,
        max_body_bytes: int,
        now: Callable[[], float],
    ) -> None:
        self._endpoints = endpoints
        self._breaker = breaker
        self._rejection_log = rejection_log
        self._max_body_bytes = max_body_bytes
        self._now = now

    def on_post(self, req: falcon.Request, resp: falcon.Response, source: str) -> None:
        environ = req.env
        endpoint = self._endpoints.get(source)
        if endpoint is None:
            return problems.UNKNOWN_SOURCE.send(resp)
        problem = request_body.rejection(environ, self._max_body_bytes)
        if problem is not None:
            return self._reject(problem, source, environ, resp)
        body = request_body.read(environ)
        if body is None:
            return self._reject(problems.BAD_LENGTH, source, environ, resp)
        verification = endpoint.scheme.verify(environ.get, body, self._now())
        if verification.reason is not None:
            self._rejection_log.note(source, verification.reason, remote(environ))
            return problems.UNAUTHENTICATED.send(resp)
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return self._reject(problems.NOT_JSON, source, environ, resp, str(error))
        if type(document) is not dict:
            return self._reject(problems.NOT_AN_OBJECT, source, environ, resp)
        try:
            name = event_id(endpoint.source, verification.event_id, document, body)
        except NoEventId as error:
            return self._reject(problems.NO_EVENT_ID, source, environ, resp, str(error))
        return self._accept(
            f"{source}:{name}", endpoint.source, body, verification.secret, environ, resp
        )

    def on_options(self, req: falcon.Request, resp: falcon.Response, source: str) -> None:
        raise falcon.HTTPMethodNotAllowed([])  # else Falcon answers it with a 200

    def _accept(
        self,
        id: str,
        source: Source,
        body: bytes,
        secret: str,
        environ: dict[str, Any],
        resp: falcon.Response,
    ) -> None:
        digest = hashlib.blake2b(body, digest_size=DIGEST_BYTES).hexdigest()
        event = IncomingEvent(
            id, source.name, body, digest, secret, source.quota_per_second, source.quota_burst
        )
        try:
            acceptance = self._breaker.accept(event)
        except RedisUnavailable:  # logged by the circuit breaker
            problems.UNAVAILABLE.send(resp, retry_after_seconds=UNAVAILABLE_RETRY_SECONDS)
            return
        code = acceptance.code
        if code == "accepted":
            resp.status = falcon.HTTP_202
            resp.data = b'{"status":"accepted","id":%b}' % orjson.dumps(id)
        elif code == "duplicate" or code == "conflicting":
            if code == "conflicting":
                self._rejection_log.conflict(source.name, id, remote(environ))
            resp.data = b'{"status":"duplicate","id":%b}' % orjson.dumps(id)
        elif code == "full":
            self._rejection_log.note(source.name, "backlog_full", remote(environ))
            drained_in_seconds = acceptance.retry_after_seconds or BACKLOG_RETRY_SECONDS_MAX
            problems.BACKLOG_FULL.send(
                resp, retry_after_seconds=min(drained_in_seconds, BACKLOG_RETRY_SECONDS_MAX)
            )
        elif code == "limited":
            self._rejection_log.note(source.name, "over_quota", remote(environ))
            problems.OVER_QUOTA.send(resp, retry_after_seconds=acceptance.retry_after_seconds)
        else:
            assert_never(code)  # else Falcon answers 200

    def _reject(
        self,
        problem: Problem,
        source: str,
        environ: dict[str, Any],
        resp: falcon.Response,
        detail: str | None = None,
    ) -> None:
        self._rejection_log.note(source, problem.code, remote(environ))
        problem.send(resp, detail=detail)
        if problem.closes_connection:
            close_after(environ, resp)
