"""The two proxies between the stack and its stores, handled from any thread."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from loadtest.chaos.proxy import Proxy
from loadtest.harness import stores

T = TypeVar("T")


class Wires:
    """redis_port, mongo_port: of the servers themselves, which only the harness reaches directly.
    loop: where the proxies run."""

    def __init__(self, loop: asyncio.AbstractEventLoop, redis_port: int, mongo_port: int) -> None:
        self.redis_port, self.mongo_port = redis_port, mongo_port
        self._loop = loop
        self._proxies = {"Redis": Proxy(redis_port), "Mongo": Proxy(mongo_port)}

    def start(self) -> None:
        for proxy in self._proxies.values():
            self._run(proxy.start())

    def stop(self) -> None:
        for proxy in self._proxies.values():
            self._run(proxy.stop())

    def port(self, store: str) -> int:
        """Where the stack reaches it."""
        return self._proxies[store].port

    def cut(self, store: str) -> int:
        async def cut() -> int:
            return self._proxies[store].cut()

        return self._run(cut())

    def hole(self, store: str, seconds: float) -> None:
        self._run(self._proxies[store].hole(seconds))

    def redis(self) -> stores.Client:
        """A client past the proxy."""
        return stores.redis(self.redis_port)

    def _run(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()
