"""The worker process in this one, on a real Redis: its slots, its permits, and how it stops."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from conf.lifecycle import Stop
from conf.settings import load
from scheduler.inspection import Inspector
from scheduler.keys import Lane
from scheduler.link import Link
from scheduler.queue import Caps, Queue
from scheduler.retry_policy import RetryPolicy
from tests.servers import RedisServer, await_true, redis_binaries
from tests.workers.samples import body
from workers import heartbeat as heartbeat_module
from workers.attempt import Attempts
from workers.errors import StoreAway
from workers.identity import Identity
from workers.jobs import Job
from workers.process import WorkerProcess
from workers.results import Done, Result, Retry
from workers.store_gate import StoreGate

POLICY = RetryPolicy(floor=0.05, base=0.05, cap=1, max_attempts=3, max_age=1000)
EVENT = "{gw:0}:event:"


class Steps:
    """A lane whose steps are given by each test. permits: what is handed out, None: no end."""

    lane: Lane = "lookup"

    def __init__(self, handle: Callable[[Job], Result]) -> None:
        self.handle = handle
        self.limit = 4
        self.handed_out: deque[str] | None = None
        self.given_back: list[str] = []
        self._lock = threading.Lock()
        self.running = self.most = 0

    def allowed(self) -> int:
        return self.limit

    def permits(self, wanted: int) -> list[str | None]:
        if self.handed_out is None:
            return [None] * wanted
        return [self.handed_out.popleft() for _ in range(min(wanted, len(self.handed_out)))]

    def give_back(self, permits: list[str | None]) -> None:
        self.given_back += [permit for permit in permits if permit is not None]

    def refresh(self) -> None:
        pass

    def pause(self) -> float:
        return 0.01

    def __enter__(self) -> None:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.running -= 1


_made: list[Worker] = []


class Worker:
    """A process under test; ``start`` runs it in a thread."""

    def __init__(self, url: str, handle: Callable[[Job], Result], boot: str = "boot",
                 **settings: str) -> None:
        self.steps = Steps(handle)
        self.stop = Stop()
        self.gate = StoreGate(lambda: self.mongo_answers)
        self.mongo_answers = True
        nothing: Any = None
        attempts = Attempts(self.steps, nothing, self.gate, POLICY, lease=5)
        self.process = WorkerProcess(
            load({"LEASE_SECONDS": "5", "DRAIN_SECONDS": "5", **settings}), attempts,
            Identity("host/worker", boot), 4, lambda: Queue(Link(url)), self.stop,
        )
        self._thread = threading.Thread(target=self.process.run, daemon=True)
        _made.append(self)

    def start(self) -> Worker:
        self._thread.start()
        return self

    def end(self, seconds: float = 60) -> None:
        self.stop.set("end of the test")
        self.wait(seconds)

    def wait(self, seconds: float = 60) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive()


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(redis_binaries()[-1], tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture
def url(own_redis: RedisServer) -> Iterator[str]:
    client = own_redis.client()
    client.flushall()
    client.close()
    yield own_redis.url
    while _made:
        _made.pop().stop.set("the test is over")


def accept(url: str, count: int) -> None:
    queue = Queue(Link(url))
    for n in range(count):
        queue.accept(f"bench:{n}", "bench", body(), "digest", caps=Caps(10**6, 10**9, 10))
    queue.link.close()


def counted(url: str, name: str) -> int:
    link = Link(url)
    books = Inspector(link).books()
    link.close()
    assert books.balanced
    return books.open if name == "open" else books.count(name)


def client(url: str) -> Redis:
    return Redis.from_url(url, decode_responses=True, protocol=2)


def at_once(job: Job) -> Result:
    return Done("routed")


def test_it_works_off_everything_within_its_limit(url: str) -> None:
    accept(url, 300)
    barrier = threading.Barrier(3)

    def together(job: Job) -> Result:
        with worker.steps:
            barrier.wait(30)  # nobody goes on before as many as may are at work
            return Done("routed")

    worker = Worker(url, together)
    worker.steps.limit = 3
    worker.start()
    await_true(lambda: counted(url, "done") == 300, 60)
    worker.end()
    assert worker.steps.most == 3
    assert counted(url, "reserved") == 300


def test_an_event_that_comes_while_it_sleeps_wakes_it(url: str) -> None:
    worker = Worker(url, at_once).start()
    for n in range(1, 4):
        accept(url, n)
        await_true(lambda n=n: counted(url, "done") == n, 30)  # type: ignore[misc]
    worker.end()


def test_it_reserves_nothing_while_mongodb_is_away_and_goes_on_by_itself(url: str) -> None:
    worker = Worker(url, at_once)
    worker.gate.away("AutoReconnect")
    worker.mongo_answers = False
    asked: list[int] = []
    worker.steps.permits = lambda wanted: asked.append(wanted) or [None] * wanted  # type: ignore[func-returns-value, method-assign]
    accept(url, 5)
    worker.start()
    await_true(lambda: client(url).exists("gw:proc:host/worker") == 1, 30)
    assert asked == []
    assert counted(url, "reserved") == 0
    worker.mongo_answers = True
    await_true(lambda: counted(url, "done") == 5, 30)
    worker.end()


def test_it_takes_back_what_its_predecessor_held(url: str) -> None:
    accept(url, 3)
    queue = Queue(Link(url))
    assert len(queue.reserve("lookup", 3, owner="host/worker", boot="older", lease=3600)) == 3
    worker = Worker(url, at_once).start()
    await_true(lambda: counted(url, "done") == 3, 30)
    worker.end()
    assert counted(url, "crashed") == 3


def test_a_stop_lets_it_finish_what_it_holds_and_take_nothing_more(url: str) -> None:
    accept(url, 10)
    inside, go_on = threading.Semaphore(0), threading.Event()

    def slow(job: Job) -> Result:
        inside.release()
        go_on.wait(30)
        return Done("routed")

    worker = Worker(url, slow).start()
    for _ in range(4):
        assert inside.acquire(timeout=30)
    worker.stop.set("SIGTERM")
    go_on.set()
    worker.wait()
    assert (counted(url, "done"), counted(url, "reserved")) == (4, 4)


def test_what_does_not_end_within_the_drain_is_handed_back_unburnt(url: str) -> None:
    accept(url, 2)
    inside, go_on = threading.Semaphore(0), threading.Event()

    def endless(job: Job) -> Result:
        inside.release()
        go_on.wait(60)
        return Retry(1, "nobody hears this")

    worker = Worker(url, endless, DRAIN_SECONDS="0.1").start()
    for _ in range(2):
        assert inside.acquire(timeout=30)
    worker.end()
    for id in ("bench:0", "bench:1"):
        fields: Any = client(url).hmget(EVENT + id, "state", "attempts", "crashes", "reason")
        assert fields == ["ready", "0", "0", "process_stopped"]
    successor = Worker(url, at_once, boot="next").start()
    await_true(lambda: counted(url, "done") == 2, 30)
    successor.end()
    go_on.set()
    assert (counted(url, "crashed"), counted(url, "retried")) == (0, 0)


def test_a_slot_outlives_a_result_that_cannot_be_told_and_the_event_is_left_to_its_lease(
    url: str
) -> None:
    def odd(job: Job) -> Result:
        return Retry(float("nan"), "") if int(job.event.id[6:]) < 6 else Done("routed")

    accept(url, 30)
    worker = Worker(url, odd).start()
    await_true(lambda: counted(url, "done") == 24, 30)
    worker.end()
    states = {client(url).hget(f"{EVENT}bench:{n}", "state") for n in range(6)}
    assert states == {"locked"}


def test_permits_that_were_not_used_are_given_back(url: str) -> None:
    used: list[str] = []

    def probe(job: Job) -> Result:
        assert job.probe
        if job.event.id == "bench:0":
            used.append(job.permit or "")
            job.permit = None  # as the report of its call does
        return Done("routed")

    worker = Worker(url, probe)
    worker.steps.handed_out = deque(["p1", "p2", "p3", "p4"])
    accept(url, 2)
    worker.start()
    await_true(lambda: counted(url, "done") == 2, 30)
    worker.end()
    assert len(used) == 1
    assert sorted([*worker.steps.given_back, *used]) == ["p1", "p2", "p3", "p4"]


def test_permits_are_given_back_when_redis_does_not_answer_the_reserve(
    own_redis: RedisServer, url: str
) -> None:
    worker = Worker(url, at_once)
    permits = worker.steps.handed_out = deque()
    worker.start()
    await_true(lambda: client(url).exists("gw:proc:host/worker") == 1, 30)
    own_redis.kill()
    permits.append("p1")
    await_true(lambda: worker.steps.given_back == ["p1"], 30)
    own_redis.start()
    worker.end()


def test_a_thread_that_is_stuck_loses_its_event_and_then_ends_the_process(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat_module, "STUCK_SECONDS", 0.5)
    stuck = threading.Event()

    def hang(job: Job) -> Result:
        if job.event.id == "bench:0" and job.event.attempts == 0:
            stuck.wait(60)
        return Done("routed")

    accept(url, 3)
    worker = Worker(url, hang, ATTEMPT_SECONDS="1", ROUTING_TIMEOUT_SECONDS="0.5",
                    DRAIN_SECONDS="0.1").start()
    worker.wait(60)
    assert worker.stop.reason == "a thread is stuck"
    stuck.set()
    fields: Any = client(url).hmget(EVENT + "bench:0", "state", "attempts", "crashes")
    assert fields == ["retry", "1", "0"]
    assert counted(url, "done") == 2


def test_an_outage_of_redis_longer_than_the_deadline_burns_nothing_and_ends_nothing(
    own_redis: RedisServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat_module, "STUCK_SECONDS", 0.2)
    accept(url, 4)
    inside, go_on = threading.Semaphore(0), threading.Event()

    def slow(job: Job) -> Result:
        inside.release()
        go_on.wait(30)
        return Done("routed")

    worker = Worker(url, slow, ATTEMPT_SECONDS="1", ROUTING_TIMEOUT_SECONDS="0.5").start()
    for _ in range(4):
        assert inside.acquire(timeout=30)
    own_redis.kill()
    go_on.set()
    jobs = worker.process._jobs
    await_true(lambda: all(jobs.clock() - job.started > 2 for job in jobs.held()), 30)
    assert len(jobs) == 4
    own_redis.start()
    await_true(lambda: counted(url, "done") == 4, 30)
    assert worker.stop.reason == ""
    worker.end()
    assert counted(url, "retried") == counted(url, "crashed") == 0


def test_mongodb_away_in_the_middle_of_the_steps_stops_the_reserving(url: str) -> None:
    def away(job: Job) -> Result:
        if not worker.mongo_answers:
            raise StoreAway("AutoReconnect")
        return Done("routed")

    worker = Worker(url, away)
    worker.mongo_answers = False
    accept(url, 50)
    worker.start()
    await_true(lambda: counted(url, "deferred") >= 4, 30)
    await_true(lambda: len(worker.process._jobs) == 0, 30)
    assert counted(url, "reserved") <= 8
    worker.mongo_answers = True
    await_true(lambda: counted(url, "done") == counted(url, "reserved")
               - counted(url, "deferred") and counted(url, "done") >= 42, 30)
    worker.end()
    assert counted(url, "retried") == 0
