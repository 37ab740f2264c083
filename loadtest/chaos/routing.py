"""The Routing Service of a run: the simulator, with every call written down by its time and caller.

It runs in the harness and not in the stack: it stands for somebody else's service, which no fault
of ours takes down, so that its books are whole.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import ClientSession, web

from loadtest.chaos.callers import Callers
from loadtest.harness.accounts import Call
from routingsim.app import create_app
from routingsim.behaviour import Behaviour

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RoutingService:
    """calls: those that have ended, in that order."""

    def __init__(self, callers: Callers) -> None:
        self.calls: list[Call] = []
        self.url = ""
        self._callers = callers
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = create_app(Behaviour())

        @web.middleware
        async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._record(request, handler)

        app.middlewares.append(record)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0][:2])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def behave(self, behaviour: dict[str, Any]) -> None:
        """As an operator of it would: PUT /behaviour."""
        async with (
            ClientSession() as http,
            http.put(f"{self.url}/behaviour", json=behaviour) as answer,
        ):
            answer.raise_for_status()

    async def routed(self) -> dict[str, int]:
        """Its own books: key -> calls that it answered with a route."""
        async with ClientSession() as http, http.get(f"{self.url}/stats/keys") as answer:
            return dict(await answer.json())

    async def _record(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "POST":
            return await handler(request)
        arrived, outcome = time.time(), "abandoned"
        pid = self._callers.pid(*_ports(request))
        try:
            response = await handler(request)
            outcome = _outcome(response)
            return response
        finally:
            key = request.headers.get("Idempotency-Key", "")
            self.calls.append(Call(key, arrived, time.time(), outcome, pid))


def _outcome(response: web.StreamResponse) -> str:
    if response.status != 200:
        return "failed"
    # An answer without a body is never sent: the connection was reset, or given garbage.
    return "routed" if isinstance(response, web.Response) and response.body else "broken"


def _ports(request: web.Request) -> tuple[int, int]:
    """The caller's and ours."""
    if request.transport is None:
        return 0, 0
    peer, own = (request.transport.get_extra_info(name) for name in ("peername", "sockname"))
    return (peer[1], own[1]) if peer and own else (0, 0)
