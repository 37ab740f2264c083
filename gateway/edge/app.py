"""The edge as a WSGI application, made of what is passed in; nothing happens at import.

Falcon's shortest path on purpose: no middleware, no media handlers, bodies as prepared bytes.
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
from gateway.edge.problems import Problem
from gateway.edge.redis_circuit_breaker import Producer, RedisCircuitBreaker
from gateway.edge.rejection_log import RejectionLog
from gateway.edge.signatures import prepare

ALLOW = {EVENTS: "POST", HEALTHZ: "GET, HEAD", READYZ: "GET, HEAD", OPENAPI: "GET, HEAD"}


@dataclass(frozen=True)
class Deps:
    """What the edge is made of.

    connect: makes an intake with new connections. now: seconds since 1970; clock: seconds that
    never jump.
    """

    sources: Mapping[str, Source]
    connect: Callable[[], Producer]
    max_body_bytes: int
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic


def create_app(deps: Deps) -> falcon.App[falcon.Request, falcon.Response]:
    """The application. A source that is not enabled is unknown to it."""
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
    # compile: now, and not at the first request.
    app.add_route(OPENAPI, OpenApi(document(enabled, deps.max_body_bytes, ALLOW)), compile=True)
    app.add_error_handler(falcon.HTTPError, _refused_by_falcon)
    app.add_error_handler(Exception, unhandled)
    return app


def _refused_by_falcon(
    req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, params: dict[str, Any]
) -> None:
    """What Falcon refuses before any of our code runs, in our words."""
    allow = ALLOW.get(req.uri_template or "")
    # A method that Falcon does not know at all is a bad request to it.
    unknown_method = req.method not in COMBINED_METHODS
    if allow and (unknown_method or isinstance(error, falcon.HTTPMethodNotAllowed)):
        resp.set_header("Allow", allow)
        return problems.METHOD_NOT_ALLOWED.send(resp)
    return _known(error).send(resp)


def _known(error: falcon.HTTPError) -> Problem:
    return problems.NOT_FOUND if error.status_code == 404 else problems.BAD_REQUEST
