"""A worker process in threads of the test, on a real Redis, with a lane that the test scripts."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from redis import Redis

from conf.lifecycle import Stop
from conf.settings import load
from scheduler.accept_command import Caps
from scheduler.connection import RedisConnection
from scheduler.inspector import Inspector
from scheduler.keys import LaneName
from scheduler.queue import Queue
from scheduler.retry_policy import RetryPolicy
from tests.support import queue_moves
from tests.support.samples import body
from workers.attempt import Attempts
from workers.identity import Identity
from workers.jobs import Job
from workers.process import WorkerProcess
from workers.results import Done, Result
from workers.store_gate import StoreGate

POLICY = RetryPolicy(
    floor_seconds=0.05, base_seconds=0.05, cap_seconds=1, max_attempts=3, max_age_seconds=1000
)
EVENT = "{gw:0}:event:"


class ScriptedLane:
    """``handle`` is the test's. available: the permits there are (None: none are needed).

    ``with lane:`` around the work counts the events in work: now, and at most.
    """

    name: LaneName = "lookup"

    def __init__(self, handle: Callable[[Job], Result]) -> None:
        self.handle = handle
        self.limit = 4
        self.permit_requests = 0
        self.available: deque[str] | None = None
        self.given_back: list[str] = []
        self._lock = threading.Lock()
        self.running = self.most_running = 0

    def allowed(self) -> int:
        return self.limit

    def permits(self, wanted: int) -> list[str | None]:
        self.permit_requests += 1
        if self.available is None:
            return [None] * wanted
        return [self.available.popleft() for _ in range(min(wanted, len(self.available)))]

    def give_back(self, permits: list[str | None]) -> None:
        self.given_back += [permit for permit in permits if permit is not None]

    def refresh(self) -> None:
        pass

    def permit_wait_seconds(self) -> float:
        return 0.01

    def __enter__(self) -> None:
        with self._lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.running -= 1


_started: list[InProcessWorker] = []


def end_all() -> None:
    """End every worker that a test started, so that none logs or works during the next test."""
    for worker in _started:
        worker.stop.set("the test is over")
    while _started:
        _started.pop().wait()


class InProcessWorker:
    """``start`` runs it in a thread."""

    def __init__(
        self, url: str, handle: Callable[[Job], Result], boot: str = "boot", **settings: str
    ) -> None:
        self.lane = ScriptedLane(handle)
        self.stop = Stop()
        self.gate = StoreGate(lambda: self.mongo_answers)
        self.mongo_answers = True
        no_ledger: Any = None
        attempts = Attempts(
            self.lane,
            no_ledger,
            self.gate,
            POLICY,
            lease_seconds=5,
            clock=time.time,
            uniform=random.random,
        )
        self.process = WorkerProcess(
            load({"LEASE_SECONDS": "5", "DRAIN_SECONDS": "5", **settings}),
            attempts,
            Identity("host/worker", boot),
            4,
            lambda: Queue(RedisConnection(url)),
            self.stop,
        )
        self._thread = threading.Thread(target=self.process.run, daemon=True)

    def start(self) -> InProcessWorker:
        self._thread.start()
        _started.append(self)
        return self

    def end(self, seconds: float = 60) -> None:
        self.stop.set("end of the test")
        self.wait(seconds)

    def wait(self, seconds: float = 60) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive()


def accept(url: str, count: int) -> None:
    """Events bench:0 … ``count`` - 1; those already known are duplicates."""
    queue = Queue(RedisConnection(url))
    for n in range(count):
        queue_moves.accept(queue, f"bench:{n}", body=body(), caps=Caps(10**6, 10**9, 10))
    queue.connection.close()


def counted(url: str, name: str) -> int:
    """A counter of Redis; the counters as a whole must reconcile."""
    connection = RedisConnection(url)
    counters = Inspector(connection).counters()
    connection.close()
    assert counters.reconciled
    return counters.count(name)


def client(url: str) -> Redis:
    return Redis.from_url(url, decode_responses=True, protocol=2)


def done_at_once(job: Job) -> Result:
    return Done("routed")
