"""The queue's verbs sent without waiting for each reply: to fill a queue fast, and to measure."""

from __future__ import annotations

from typing import Any

from redis.connection import ConnectionPool

from loadtest.harness.wait import RunFailed
from scheduler.connection import RedisConnection
from scheduler.errors import ServerError
from scheduler.queue import Queue
from scheduler.resp_transport import RespTransport
from scheduler.scripts import Script, load

VERBS = ("accept", "reserve", "done", "retry", "promote")
ERROR_CODES = (b"not_holder", b"duplicate", b"conflicting", b"full")
TIMEOUT_SECONDS = 30.0


class Pipeline(RedisConnection):
    """A connection whose scripts are only sent. ``accept`` takes what it returns for "accepted", a
    holder verb for success; ``settle`` reads the replies.

    It has a connection of its own: a RedisConnection treats an unread reply as a fault.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, TIMEOUT_SECONDS)
        pool = ConnectionPool.from_url(url, protocol=2, socket_timeout=TIMEOUT_SECONDS)
        connection: Any = pool.make_connection()
        connection.connect()
        self._pipe = RespTransport(connection, TIMEOUT_SECONDS)
        self._sent = 0

    def close(self) -> None:
        super().close()
        self._pipe.close()

    def run_packed(self, script: Script, packed: bytes) -> Any:
        self._pipe.send(packed)
        self._sent += 1
        return [b"accepted", 0, 0]

    def settle(self) -> None:
        """Wait for all replies. Raises ``RunFailed`` if a verb was refused, also by an error of
        Redis's."""
        count, self._sent = self._sent, 0
        replies = [self._pipe.receive(TIMEOUT_SECONDS) for _ in range(count)]
        errors = {str(reply) for reply in replies if isinstance(reply, ServerError)}
        codes = {reply[0] for reply in replies if not isinstance(reply, ServerError)}
        refused = sorted(errors | {code.decode() for code in codes if code in ERROR_CODES})
        if refused:
            raise RunFailed(f"the queue answered {', '.join(refused)}")


def pipelined(url: str) -> tuple[Queue, Pipeline]:
    """A queue over a pipeline, and the pipeline. Redis has been given the scripts."""
    plain = RedisConnection(url, TIMEOUT_SECONDS)
    for verb in VERBS:
        plain.command("SCRIPT", "LOAD", load(verb).text)
    plain.close()
    pipeline = Pipeline(url)
    return Queue(pipeline), pipeline
