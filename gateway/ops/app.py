"""The WSGI application of the ops port. Every path but ``/healthz`` needs the bearer token."""

from __future__ import annotations

import hmac
import threading
from typing import Any

import falcon

from gateway.ops import metrics, problems
from scheduler.connection import RedisConnection
from scheduler.errors import RedisUnavailable
from scheduler.inspector import Inspector


class BearerToken:
    """Middleware: compares the bearer token in constant time; an empty one never matches."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode() if token else b""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = (req.get_header("Authorization") or "").encode("latin-1", "replace")
        allowed = bool(self._expected) and hmac.compare_digest(given, self._expected)
        if not allowed and req.path != "/healthz":
            problems.UNAUTHORISED.send(resp)
            resp.set_header("WWW-Authenticate", "Bearer")
            resp.complete = True


class Ops:
    """All resources. Each thread has its own ``Inspector``, because connections are not shared."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._local = threading.local()

    @property
    def inspector(self) -> Inspector:
        found: Inspector | None = getattr(self._local, "inspector", None)
        if found is None:
            found = self._local.inspector = Inspector(RedisConnection(self._redis_url))
        return found

    def on_get_health(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = {"status": "up"}

    def on_get_metrics(self, req: falcon.Request, resp: falcon.Response) -> None:
        state = self.inspector.breaker().get("state", "closed")
        resp.content_type = metrics.CONTENT_TYPE
        resp.text = metrics.render(self.inspector.counters(), self.inspector.processes(), state)

    def on_get_status(self, req: falcon.Request, resp: falcon.Response) -> None:
        counters = self.inspector.counters()
        resp.media = {
            "now": counters.now_ms,
            "waiting": counters.waiting,
            "locked": counters.locked,
            "retrying": counters.retrying,
            "dead": counters.dead,
            "tombstones": counters.tombstones,
            "balanced": counters.reconciled,
            "stats": counters.stats,
            "breaker": self.inspector.breaker() or {"state": "closed"},
            "processes": self.inspector.processes(),
        }

    def on_get_event(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        fields = self.inspector.event(id)
        if not fields:
            return problems.UNKNOWN_EVENT.send(resp)
        resp.media = {"id": id, **fields}
        return None


def create_app(redis_url: str, token: str) -> falcon.App[Any, Any]:
    """The application. token: OPS_TOKEN."""
    app: falcon.App[Any, Any] = falcon.App(middleware=[BearerToken(token)])
    ops = Ops(redis_url)
    app.add_route("/healthz", ops, suffix="health")
    app.add_route("/metrics", ops, suffix="metrics")
    app.add_route("/api/status", ops, suffix="status")
    app.add_route("/api/events/{id}", ops, suffix="event")
    app.add_error_handler(RedisUnavailable, _redis_unavailable)
    return app


def _redis_unavailable(
    req: falcon.Request, resp: falcon.Response, error: Exception, params: dict[str, Any]
) -> None:
    problems.REDIS_UNAVAILABLE.send(resp)
