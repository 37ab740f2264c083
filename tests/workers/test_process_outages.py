"""The worker process while a store is away: it waits, and burns nothing."""

from __future__ import annotations

import threading
from collections import deque

import pytest

from tests.support.in_process_worker import Worker, accept, at_once, client, counted
from tests.support.servers import RedisServer, await_true
from workers import heartbeat as heartbeat_module
from workers.errors import StoreUnavailable
from workers.jobs import Job
from workers.results import Done, Result


def test_it_reserves_nothing_while_mongodb_is_away_and_goes_on_by_itself(url: str) -> None:
    worker = Worker(url, at_once)
    worker.gate.away("AutoReconnect")
    worker.mongo_answers = False
    accept(url, 5)
    worker.start()
    await_true(lambda: client(url).exists("gw:proc:host/worker") == 1, 30)
    assert worker.steps.asked == 0
    assert counted(url, "reserved") == 0
    worker.mongo_answers = True
    await_true(lambda: counted(url, "done") == 5, 30)
    worker.end()


def test_permits_are_given_back_when_redis_does_not_answer_the_reserve(
    own_redis: RedisServer, url: str
) -> None:
    worker = Worker(url, at_once)
    permits = worker.steps.handed_out = deque()
    worker.start()
    await_true(lambda: worker.steps.asked > 0, 30)
    own_redis.kill()
    permits.append("p1")
    await_true(lambda: worker.steps.given_back == ["p1"], 30)
    own_redis.start()
    worker.end()


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
            raise StoreUnavailable("AutoReconnect")
        return Done("routed")

    worker = Worker(url, away)
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
