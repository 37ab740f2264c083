"""An event loop in a thread of its own: for the proxies, the Routing Service and the load."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Runs coroutines for other threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def run(self, what: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        """Wait for its result, ``seconds`` at most (``TimeoutError``)."""
        return self.begin(what).result(seconds)

    def begin(self, what: Coroutine[Any, Any, T]) -> Future[T]:
        """Start it, and do not wait."""
        return asyncio.run_coroutine_threadsafe(what, self.loop)

    def call(self, function: Any, *arguments: Any) -> None:
        """Call it in the loop's thread, soon."""
        self.loop.call_soon_threadsafe(function, *arguments)


@contextlib.contextmanager
def background() -> Iterator[Background]:
    """What still runs in it at the end is cancelled."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="background", daemon=True)
    thread.start()
    try:
        yield Background(loop)
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
