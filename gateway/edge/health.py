"""``/healthz``: this process is up. ``/readyz``: the edge accepts events now."""

from __future__ import annotations

import falcon
import orjson

from gateway.edge import problems
from gateway.edge.event_resource import UNAVAILABLE_RETRY_SECONDS
from gateway.edge.redis_circuit_breaker import RedisCircuitBreaker
from scheduler.errors import RedisUnavailable


class _GetOnly:
    def on_options(self, req: falcon.Request, resp: falcon.Response) -> None:
        raise falcon.HTTPMethodNotAllowed([])  # else Falcon answers it with a 200


class Healthz(_GetOnly):
    """Checks nothing else: a fault of Redis must not make an orchestrator restart this process."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.data = b'{"status":"ok"}'

    on_head = on_get


class Readyz(_GetOnly):
    """For load balancers: checks that Redis answers and that no cap is reached."""

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
                f"{ready.backlog} events ({ready.backlog_bytes} bytes) in the backlog, "
                f"{ready.dead} dead letters",
            )
        resp.data = orjson.dumps(
            {
                "status": "ready",
                "durability": ready.durability,
                "backlog": ready.backlog,
                "backlog_max": ready.caps.max_events,
                "backlog_bytes": ready.backlog_bytes,
                "backlog_bytes_max": ready.caps.max_bytes,
                "dead": ready.dead,
                "dead_max": ready.caps.max_dead,
            }
        )
        return None

    on_head = on_get
