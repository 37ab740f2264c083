"""The queue's verbs sent without waiting for each reply: to fill a queue fast, and to measure."""

from __future__ import annotations

from typing import Any

from loadtest.bench.errors import BenchError
from scheduler.link import Arg, Link
from scheduler.queue import Queue
from scheduler.scripts import load

VERBS = ("accept", "reserve", "done", "retry", "promote")


class Pipeline(Link):
    """A link whose ``command`` only sends. What it returns means ``accepted`` to ``accept`` and
    consent to a holder verb; the replies come with ``settle``."""

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        super().__init__(url, timeout)
        self._sent = 0

    def command(self, *args: Arg, timeout: float | None = None) -> Any:
        self.send(*args)
        self._sent += 1
        return [b"accepted", 0, 0]

    def settle(self) -> None:
        """Wait for all replies. Raises ``BenchError`` if a verb was refused."""
        count, self._sent = self._sent, 0
        codes = [self.receive()[0] for _ in range(count)]
        refused = sorted({code.decode() for code in codes
                          if code in (b"not_holder", b"duplicate", b"conflicting", b"full")})
        if refused:
            raise BenchError(f"the queue answered {', '.join(refused)}")


def pipelined(url: str) -> tuple[Queue, Pipeline]:
    """A queue over a pipeline, and the pipeline. Redis has been given the scripts."""
    plain = Link(url, 30)
    for verb in VERBS:
        plain.command("SCRIPT", "LOAD", load(verb).text)
    plain.close()
    pipeline = Pipeline(url)
    return Queue(pipeline), pipeline
