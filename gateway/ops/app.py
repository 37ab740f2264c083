"""The WSGI app of the ops port. Nothing but ``/healthz`` is answered without the token."""

from __future__ import annotations

import hmac
import threading
from typing import Any

import falcon

from gateway.edge import problems
from gateway.ops import metrics
from scheduler.connection import RedisConnection
from scheduler.errors import RedisUnavailable
from scheduler.inspector import Inspector


class Token:
    """Middleware: the bearer token, in constant time. An empty token lets nobody in."""

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
    """All resources: one ``Inspector`` a thread."""

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
        books = self.inspector.counters()
        resp.media = {
            "now": books.now,
            "waiting": books.waiting,
            "locked": books.locked,
            "retrying": books.retrying,
            "dead": books.dead,
            "tombstones": books.tombstones,
            "balanced": books.balanced,
            "stats": books.stats,
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
    """The app; ``token`` is OPS_TOKEN."""
    app: falcon.App[Any, Any] = falcon.App(middleware=[Token(token)])
    ops = Ops(redis_url)
    app.add_route("/healthz", ops, suffix="health")
    app.add_route("/metrics", ops, suffix="metrics")
    app.add_route("/api/status", ops, suffix="status")
    app.add_route("/api/events/{id}", ops, suffix="event")
    app.add_error_handler(RedisUnavailable, _redis_away)
    return app


def _redis_away(
    req: falcon.Request, resp: falcon.Response, error: Exception, params: dict[str, Any]
) -> None:
    problems.REDIS_AWAY.send(resp)
