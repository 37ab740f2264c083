"""The HTTP interface of the simulated Routing Service.

Invariant: every call is counted exactly once at its end: as succeeded when its route is sent, else
as failed, also when the client has disconnected. Such a call may or may not have acted, as with any
service; its key has the same route either way.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import asdict

from aiohttp import web

from routingsim.arrival import seconds_since_arrival
from routingsim.behaviour import Behaviour, CallDecision, Outcome, call_rng, decide
from routingsim.behaviour_document import BadBehaviour, read_behaviour
from routingsim.route import read_key, route_for
from routingsim.stats import Stats

# Beyond every client's timeout. It is finite, so that no call is held for ever.
HANG_SECONDS = 3600.0
GARBAGE = b"\x16\x03\x00 this is no HTTP \x00\xff\r\n\r\n"


class RoutingService:
    """The state of the service: its behaviour, its counters and the calls in flight."""

    def __init__(self, defaults: Behaviour) -> None:
        self._defaults = defaults
        self._behaviour = defaults
        self._stats = Stats()
        self._in_flight = (
            0  # not reset with the counters: ``capacity`` limits the calls really held
        )

    async def post_route(self, request: web.Request) -> web.Response:
        key = read_key(request.headers.get("Idempotency-Key"))
        if key is None:
            return _problem(400, "missing-idempotency-key", "Idempotency-Key is required")
        await request.read()
        stats, behaviour = self._stats, self._behaviour
        nth = stats.arrive(key)
        decision = decide(behaviour, key, nth, self._in_flight, call_rng(behaviour, key, nth))
        self._in_flight += 1
        try:
            if decision.outcome is not Outcome.REFUSE:
                stats.hold(self._in_flight)
                await asyncio.sleep(_wait_seconds(request, decision))
        except asyncio.CancelledError:
            stats.abandon()
            raise
        finally:
            self._in_flight -= 1
        if decision.outcome is Outcome.ROUTE:
            stats.succeed(key)
            return web.json_response(route_for(key))
        stats.fail()
        return _failed(request, decision)

    async def get_behaviour(self, _: web.Request) -> web.Response:
        return web.json_response(asdict(self._behaviour))

    async def put_behaviour(self, request: web.Request) -> web.Response:
        """Calls in flight keep what was decided on their arrival."""
        try:
            self._behaviour = read_behaviour(await request.read(), self._defaults)
        except BadBehaviour as bad:
            return _problem(400, "bad-behaviour", str(bad))
        return web.json_response(asdict(self._behaviour))

    async def get_stats(self, _: web.Request) -> web.Response:
        return web.json_response(self._stats.summary() | {"in_flight": self._in_flight})

    async def get_keys(self, _: web.Request) -> web.Response:
        return web.json_response(self._stats.successes())

    async def delete_stats(self, _: web.Request) -> web.Response:
        self._stats = Stats()
        return web.Response(status=204)


def create_app(defaults: Behaviour) -> web.Application:
    """defaults: the values of a behaviour that a PUT does not name."""
    service = RoutingService(defaults)
    app = web.Application()
    app.router.add_post("/v1/routes", service.post_route)
    app.router.add_get("/behaviour", service.get_behaviour)
    app.router.add_put("/behaviour", service.put_behaviour)
    app.router.add_get("/stats", service.get_stats)
    app.router.add_delete("/stats", service.delete_stats)
    app.router.add_get("/stats/keys", service.get_keys)
    app.router.add_get("/healthz", _healthz)
    return app


async def _healthz(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


def _wait_seconds(request: web.Request, decision: CallDecision) -> float:
    if decision.outcome is Outcome.HANG:
        return HANG_SECONDS
    return max(0.0, decision.delay_seconds - seconds_since_arrival(request.transport))


def _failed(request: web.Request, decision: CallDecision) -> web.Response:
    if decision.outcome in (Outcome.FAIL, Outcome.REFUSE):
        return _problem(decision.status, "failed", decision.reason, decision.retry_after)
    transport = request.transport
    if transport is not None:
        if decision.outcome is Outcome.GARBAGE:
            transport.write(GARBAGE)
            transport.close()
        else:  # with a linger of 0 s the kernel sends RST
            linger = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
            transport.abort()
    return web.Response()  # never sent: the connection is closing


def _problem(status: int, kind: str, detail: str, retry_after: int | None = None) -> web.Response:
    return web.json_response(
        {"type": f"urn:routingsim:{kind}", "status": status, "detail": detail},
        status=status,
        content_type="application/problem+json",
        headers={} if retry_after is None else {"Retry-After": str(retry_after)},
    )
