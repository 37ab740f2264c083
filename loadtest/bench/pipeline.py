"""The queue's verbs sent without waiting for each reply: to fill a queue fast, and to measure."""

from __future__ import annotations

from typing import Any

from redis.connection import ConnectionPool

from loadtest.bench.errors import BenchError
from scheduler.link import Arg, Link
from scheduler.queue import Queue
from scheduler.scripts import load

VERBS = ("accept", "reserve", "done", "retry", "promote")
REFUSALS = (b"not_holder", b"duplicate", b"conflicting", b"full")
TIMEOUT_SECONDS = 30.0


class Pipeline(Link):
    """A link whose ``command`` only sends. What it returns means ``accepted`` to ``accept`` and
    consent to a holder verb; the replies come with ``settle``.

    It has a connection of its own kind: to a link, a reply that nobody waits for yet is a fault.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, TIMEOUT_SECONDS)
        pool = ConnectionPool.from_url(url, protocol=2, socket_timeout=TIMEOUT_SECONDS)
        wire: Any = pool.make_connection()
        wire.connect()
        self._wire = wire
        self._sent = 0

    def close(self) -> None:
        super().close()
        self._wire.disconnect()

    def command(self, *args: Arg, timeout: float | None = None) -> Any:
        self._wire.send_command(*args)
        self._sent += 1
        return [b"accepted", 0, 0]

    def settle(self) -> None:
        """Wait for all replies. Raises ``BenchError`` if a verb was refused, and redis-py's errors
        for one that Redis answers."""
        count, self._sent = self._sent, 0
        codes = [self._wire.read_response(disable_decoding=True)[0] for _ in range(count)]
        refused = sorted({code.decode() for code in codes if code in REFUSALS})
        if refused:
            raise BenchError(f"the queue answered {', '.join(refused)}")


def pipelined(url: str) -> tuple[Queue, Pipeline]:
    """A queue over a pipeline, and the pipeline. Redis has been given the scripts."""
    plain = Link(url, TIMEOUT_SECONDS)
    for verb in VERBS:
        plain.command("SCRIPT", "LOAD", load(verb).text)
    plain.close()
    pipeline = Pipeline(url)
    return Queue(pipeline), pipeline
