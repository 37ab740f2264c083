"""The worker process while a store is unavailable: it waits, and consumes no attempts."""

from __future__ import annotations

import threading
from collections import deque

import pytest

from tests.support.in_process_worker import InProcessWorker, accept, client, counted, done_at_once
from tests.support.servers import RedisServer, await_true
from workers import heartbeat as heartbeat_module
from workers.errors import StoreUnavailable
from workers.jobs import Job
from workers.results import Done, Result


def test_it_reserves_nothing_while_mongodb_is_unavailable_and_continues_by_itself(url: str) -> None:
    worker = InProcessWorker(url, done_at_once)
    worker.gate.report_unavailable("AutoReconnect")
    worker.mongo_answers = False
    accept(url, 5)
    worker.start()
    await_true(lambda: client(url).exists("gw:proc:host/worker") == 1, 30)
    assert worker.lane.permit_requests == 0
    assert counted(url, "reserved") == 0
    worker.mongo_answers = True
    await_true(lambda: counted(url, "done") == 5, 30)
    worker.end()


def test_permits_are_given_back_when_redis_does_not_answer_the_reserve(
    own_redis: RedisServer, url: str
) -> None:
    worker = InProcessWorker(url, done_at_once)
    permits = worker.lane.available = deque()
    worker.start()
    await_true(lambda: worker.lane.permit_requests > 0, 30)
    own_redis.kill()
    permits.append("p1")
    await_true(lambda: worker.lane.given_back == ["p1"], 30)
    own_redis.start()
    worker.end()


def test_an_outage_of_redis_beyond_the_deadline_consumes_no_attempt_and_ends_no_process(
    own_redis: RedisServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat_module, "STUCK_SECONDS", 0.2)
    accept(url, 4)
    inside, go_on = threading.Semaphore(0), threading.Event()

    def slow(job: Job) -> Result:
        inside.release()
        go_on.wait(30)
        return Done("routed")

    worker = InProcessWorker(url, slow, ATTEMPT_SECONDS="1", ROUTING_TIMEOUT_SECONDS="0.5").start()
    for _ in range(4):
        assert inside.acquire(timeout=30)
    own_redis.kill()
    go_on.set()
    jobs = worker.process._jobs
    await_true(lambda: all(jobs.clock() - job.started_seconds > 2 for job in jobs.held()), 30)
    assert len(jobs) == 4
    own_redis.start()
    await_true(lambda: counted(url, "done") == 4, 30)
    assert worker.stop.reason == ""
    worker.end()
    assert counted(url, "retried") == counted(url, "crashed") == 0


def test_an_outage_of_mongodb_during_an_attempt_stops_the_reserving(url: str) -> None:
    def unavailable(job: Job) -> Result:
        if not worker.mongo_answers:
            raise StoreUnavailable("AutoReconnect")
        return Done("routed")

    worker = InProcessWorker(url, unavailable)
    worker.mongo_answers = False
    accept(url, 50)
    worker.start()
    await_true(lambda: counted(url, "deferred") >= 4, 30)
    await_true(lambda: len(worker.process._jobs) == 0, 30)
    assert counted(url, "reserved") <= 8
    worker.mongo_answers = True
    await_true(
        lambda: (
            counted(url, "done") == counted(url, "reserved") - counted(url, "deferred")
            and counted(url, "done") >= 42
        ),
        30,
    )
    worker.end()
    assert counted(url, "retried") == 0
