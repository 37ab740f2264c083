"""``/healthz``: this process is up. ``/readyz``: it would take an event now."""

from __future__ import annotations

import falcon
import orjson

from gateway.edge import problems
from gateway.edge.event_resource import UNAVAILABLE_RETRY_SECONDS
from gateway.edge.redis_circuit_breaker import RedisCircuitBreaker
from scheduler.errors import RedisUnavailable


class _GetOnly:
    def on_options(self, req: falcon.Request, resp: falcon.Response) -> None:
        raise falcon.HTTPMethodNotAllowed([])  # Falcon would answer it otherwise


class Healthz(_GetOnly):
    """Asks nobody, so that a fault elsewhere does not have this process restarted."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.data = b'{"status":"ok"}'

    on_head = on_get


class Readyz(_GetOnly):
    """For load balancers: asks Redis."""

    def __init__(self, breaker: RedisCircuitBreaker) -> None:
        self._breaker = breaker

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        try:
            ready = self._breaker.ready()
        except RedisUnavailable as error:
            return problems.NOT_READY.send(
                resp, retry_after_seconds=UNAVAILABLE_RETRY_SECONDS, detail=f"Redis: {error}"
            )
        if ready.full:
            return problems.NOT_READY.send(
                resp,
                retry_after_seconds=UNAVAILABLE_RETRY_SECONDS,
                detail="A cap is reached: "
                f"{ready.backlog} events ({ready.backlog_bytes} bytes) wait, {ready.dead} are dead",
            )
        resp.data = orjson.dumps(
            {
                "status": "ready",
                "durability": ready.durability,
                "backlog": ready.backlog,
                "backlog_max": ready.caps.events,
                "backlog_bytes": ready.backlog_bytes,
                "backlog_bytes_max": ready.caps.bytes,
                "dead": ready.dead,
                "dead_max": ready.caps.dead,
            }
        )
        return None

    on_head = on_get
