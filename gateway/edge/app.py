"""Builds the edge's WSGI application from its dependencies; nothing happens at import.

It uses Falcon's shortest path: no middleware, no media handlers, bodies prepared as bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import falcon
from falcon.constants import COMBINED_METHODS

from conf.sources.model import Source
from gateway.edge import problems
from gateway.edge.event_resource import Endpoint, EventResource
from gateway.edge.health import Healthz, Readyz
from gateway.edge.openapi import EVENTS, HEALTHZ, OPENAPI, READYZ, OpenApi, document
from gateway.edge.redis_circuit_breaker import RedisCircuitBreaker
from gateway.edge.rejection_log import RejectionLog
from gateway.edge.signatures import prepare
from scheduler.producer import Producer

ALLOW = {EVENTS: "POST", HEALTHZ: "GET, HEAD", READYZ: "GET, HEAD", OPENAPI: "GET, HEAD"}


@dataclass(frozen=True)
class Deps:
    """The edge's dependencies.

    connect: makes a producer with new connections. now: seconds since 1970. clock: seconds,
    monotonic.
    """

    sources: Mapping[str, Source]
    connect: Callable[[], Producer]
    max_body_bytes: int
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic


def create_app(deps: Deps) -> falcon.App[falcon.Request, falcon.Response]:
    """The application. A source that is not enabled answers 404, like an unknown one."""
    breaker = RedisCircuitBreaker(deps.connect, deps.clock)
    enabled = {name: source for name, source in deps.sources.items() if source.enabled}
    endpoints = {name: Endpoint(source, prepare(source)) for name, source in enabled.items()}
    app = falcon.App(media_type=falcon.MEDIA_JSON)
    rejection_log = RejectionLog(deps.clock)

    def unhandled(
        req: falcon.Request, resp: falcon.Response, error: Exception, params: dict[str, Any]
    ) -> None:
        rejection_log.fault(req.method, req.uri_template or "", error)
        problems.INTERNAL_ERROR.send(resp)

    app.add_route(
        EVENTS, EventResource(endpoints, breaker, rejection_log, deps.max_body_bytes, deps.now)
    )
    app.add_route(HEALTHZ, Healthz())
    app.add_route(READYZ, Readyz(breaker))
    # compile: build the router now, not during the first request.
    app.add_route(OPENAPI, OpenApi(document(enabled, deps.max_body_bytes, ALLOW)), compile=True)
    app.add_error_handler(falcon.HTTPError, _falcon_error)
    app.add_error_handler(Exception, unhandled)
    return app


def _falcon_error(
    req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, params: dict[str, Any]
) -> None:
    """Answers what Falcon rejects before a resource runs with one of the edge's problems."""
    allow = ALLOW.get(req.uri_template or "")
    # Falcon answers 400, not 405, for a method that it does not know.
    unknown_method = req.method not in COMBINED_METHODS
    if allow and (unknown_method or isinstance(error, falcon.HTTPMethodNotAllowed)):
        resp.set_header("Allow", allow)
        return problems.METHOD_NOT_ALLOWED.send(resp)
    problem = problems.NOT_FOUND if error.status_code == 404 else problems.BAD_REQUEST
    return problem.send(resp)
