"""The two proxies between the stack and its stores, controlled from any thread."""

from __future__ import annotations

from loadtest.chaos.background import Background
from loadtest.chaos.proxy import Proxy

REDIS, MONGO = "Redis", "Mongo"


class NetworkFaults:
    """redis_port, mongo_port: of the servers themselves. loop: where the proxies run."""

    def __init__(self, loop: Background, redis_port: int, mongo_port: int) -> None:
        self._loop = loop
        self._proxies = {REDIS: Proxy(redis_port), MONGO: Proxy(mongo_port)}

    def start(self) -> None:
        for proxy in self._proxies.values():
            self._loop.run(proxy.start())

    def stop(self) -> None:
        for proxy in self._proxies.values():
            self._loop.run(proxy.stop())

    def port(self, store: str) -> int:
        """Where the stack reaches the store."""
        return self._proxies[store].port

    def reset(self, store: str) -> int:
        """Reset every connection; how many ends of connections there were."""

        async def reset() -> int:
            return self._proxies[store].reset()

        return self._loop.run(reset())

    def partition(self, store: str, seconds: float) -> None:
        self._loop.run(self._proxies[store].partition(seconds))
