"""The queue's verbs alone, over one connection: what Redis and the scripts can do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from gateway.stack.stack import Stack
from loadtest.harness import signed
from loadtest.harness.environment import NO_CAPS, Options
from loadtest.harness.figures import Figure, Section, median
from loadtest.harness.pipeline import Pipeline, pipelined
from loadtest.harness.progress import say
from loadtest.harness.wait import RunFailed
from scheduler.connection import RedisConnection
from scheduler.events import Reserved
from scheduler.queue import Queue

POLICIES = ("everysec", "always")
BATCH = 32  # as the workers reserve
PROMOTED = 1000
UNDER_WAY = 200
REPEATS = 3
LEASE_SECONDS = 600.0


def measure(options: Options) -> Section:
    count = options.pick(6_000, 2_000)
    rates: dict[tuple[str, str], list[float]] = {}
    with _redis(options) as url:
        bench = _Verbs(url, count)
        for number in range(1, REPEATS + 1):
            say(f"round {number} of {REPEATS}")
            for policy in POLICIES:
                bench.connection.command("CONFIG", "SET", "appendfsync", policy)
                for name, rate in bench.round().items():
                    rates.setdefault((name, policy), []).append(rate)
        bench.close()
    figures = tuple(
        Figure(f"{name}, {policy}", median(found), "per s", None, tuple(found))
        for (name, policy), found in rates.items()
    )
    values = {figure.name: f"{figure.value:,.0f}" for figure in figures}
    names = dict.fromkeys(name for name, _ in rates)
    grid = (
        ("events a second", *POLICIES),
        *((name, *(values[f"{name}, {policy}"] for policy in POLICIES)) for name in names),
    )
    return Section(
        "verbs",
        "the queue's verbs over one connection",
        f"a Redis of its own on a unix socket, {count:,} events of {signed.BODY_BYTES} bytes a "
        f"round, median of {REPEATS} rounds; `done` x {BATCH}: the replies of a batch awaited "
        "together",
        figures,
        grid=grid,
    )


@contextmanager
def _redis(options: Options) -> Iterator[str]:
    """A stack of which only Redis runs."""
    nowhere = {
        "MONGO_URL": "mongodb://127.0.0.1:1/none",
        "ROUTING_URL": "http://127.0.0.1:1",
        **options.settings,
    }
    with Stack.temporary(nowhere, ready=lambda _: True, shared=()) as stack:
        yield stack.redis_url


class _Verbs:
    """Each round starts and ends with an empty queue."""

    def __init__(self, url: str, count: int) -> None:
        self.connection = RedisConnection(url, 30)
        self._queue = Queue(self.connection)
        self._fast: tuple[Queue, Pipeline] = pipelined(url)
        self._count = count
        self._events = list(signed.events("v", count, signed.NO_ROUTE))

    def close(self) -> None:
        self.connection.close()
        self._fast[1].close()

    def round(self) -> Mapping[str, float]:
        """What was measured -> events a second."""
        rates = {}
        self.connection.command("FLUSHALL")
        rates["accept, one by one"] = self._timed(lambda: self._accept(self._queue))
        rates["reserve, one by one"] = self._timed(lambda: self._reserve(1))
        self.connection.command("FLUSHALL")
        rates["accept, pipelined"] = self._timed(lambda: self._accept(*self._fast))
        rates[f"reserve x {BATCH}"] = self._timed(lambda: self._reserve(BATCH))
        self.connection.command("FLUSHALL")
        self._accept(*self._fast)
        rates[f"reserve + done x {BATCH}"] = self._timed(lambda: self._reserve(BATCH, self._done))
        self.connection.command("FLUSHALL")
        self._accept(*self._fast)
        self._reserve(BATCH, self._retry)
        time.sleep(0.01)  # a delay of 0 ends within the next millisecond
        rates[f"promote x {PROMOTED}"] = self._timed(self._promote)
        return rates

    def _timed(self, work: Callable[[], int]) -> float:
        began = time.perf_counter()
        count = work()
        elapsed = time.perf_counter() - began
        if count != self._count:
            raise RunFailed(f"{count} of {self._count} events")
        return count / elapsed

    def _accept(self, queue: Queue, pipeline: Pipeline | None = None) -> int:
        for number, (event, body) in enumerate(self._events, 1):
            queue.accept(signed.incoming(event, body), NO_CAPS)
            if pipeline and number % UNDER_WAY == 0:
                pipeline.settle()
        if pipeline:
            pipeline.settle()
        return len(self._events)

    def _reserve(self, size: int, then: Callable[[list[Reserved]], None] | None = None) -> int:
        count = 0
        while events := self._queue.reserve(
            "lookup", size, owner="bench/verbs", boot="1", lease_seconds=LEASE_SECONDS
        ):
            count += len(events)
            if then:
                then(events)
        return count

    def _done(self, events: list[Reserved]) -> None:
        queue, pipeline = self._fast
        for event in events:
            queue.done(event, "recorded")
        pipeline.settle()

    def _retry(self, events: list[Reserved]) -> None:
        queue, pipeline = self._fast
        for event in events:
            queue.retry(event, 0, "bench")
        pipeline.settle()

    def _promote(self) -> int:
        count = 0
        while done := self._queue.promote(
            lease_seconds=LEASE_SECONDS,
            max_crashes=5,
            dedup_window_seconds=86400,
            tombstones_max=10**6,
            batch=PROMOTED,
        ).promoted:
            count += done
        return count
