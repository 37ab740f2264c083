"""The Routing Service of a run: the simulator, with every call recorded by its time and caller.

It runs in the harness and not in the stack: it represents another company's service, which no fault
of ours stops, so that its records are complete.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from loadtest.harness.accounts import Call
from routingsim.app import create_app
from routingsim.behaviour import Behaviour

_PID = re.compile(r"\bpid (\d+)")  # as a worker names itself in its User-Agent
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RoutingService:
    """calls: those that have ended, in that order."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.url = ""
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

    async def _record(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "POST":
            return await handler(request)
        arrived, outcome = time.time(), "abandoned"
        named = _PID.search(request.headers.get("User-Agent", ""))
        pid = int(named[1]) if named else 0
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
