"""The worker process: its slots, its permits, and how it stops."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import pytest

from scheduler.connection import RedisConnection
from scheduler.queue import Queue
from tests.support.in_process_worker import EVENT, Worker, accept, at_once, client, counted
from tests.support.servers import await_true
from workers import heartbeat as heartbeat_module
from workers.jobs import Job
from workers.results import Done, Result, Retry


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


def test_it_takes_back_what_its_predecessor_held(url: str) -> None:
    accept(url, 3)
    queue = Queue(RedisConnection(url))
    assert (
        len(queue.reserve("lookup", 3, owner="host/worker", boot="older", lease_seconds=3600)) == 3
    )
    worker = Worker(url, at_once).start()
    await_true(lambda: counted(url, "done") == 3, 30)
    worker.end()
    assert counted(url, "crashed") == 3


def crashed(url: str, times: int) -> None:
    """What waits was part of so many crashes."""
    queue = Queue(RedisConnection(url))
    for boot in range(times):
        # However many they are by now: from the second crash on, a reserve gives one of them.
        while queue.reserve("lookup", 100, owner="host/worker", boot=str(boot), lease_seconds=3600):
            pass
        queue.reclaim("lookup", "host/worker", "next", 5)
    queue.connection.close()


def test_suspects_follow_one_another_without_a_pause(url: str) -> None:
    accept(url, 40)
    crashed(url, 2)

    def slow(job: Job) -> Result:
        threading.Event().wait(0.03)  # so that it asks for another in vain
        return Done("routed")

    worker = Worker(url, slow).start()
    await_true(lambda: counted(url, "done") == 40, 35)  # a second each, if it waited to be woken
    worker.end()


def test_one_suspect_is_in_work_at_a_time(url: str) -> None:
    accept(url, 6)
    crashed(url, 2)

    def slow(job: Job) -> Result:
        with worker.steps:
            threading.Event().wait(0.1)  # time enough to take another
            return Done("routed")

    worker = Worker(url, slow).start()
    await_true(lambda: counted(url, "done") == 6, 30)
    worker.end()
    assert worker.steps.most == 1


def test_what_another_crash_would_make_dead_has_the_process_for_itself(url: str) -> None:
    accept(url, 1)
    crashed(url, 4)
    accept(url, 40)
    inside = threading.Event()
    beside: list[bool] = []

    def slow(job: Job) -> Result:
        if job.event.id == "bench:0":
            inside.set()
            threading.Event().wait(0.5)  # time enough to take the others
            inside.clear()
        else:
            beside.append(inside.is_set())
        return Done("routed")

    worker = Worker(url, slow).start()
    await_true(lambda: counted(url, "done") == 40, 30)
    worker.end()
    assert beside == [False] * 39


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
    url: str,
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
    worker = Worker(
        url, hang, ATTEMPT_SECONDS="1", ROUTING_TIMEOUT_SECONDS="0.5", DRAIN_SECONDS="0.1"
    ).start()
    worker.wait(60)
    assert worker.stop.reason == "a thread is stuck"
    stuck.set()
    fields: Any = client(url).hmget(EVENT + "bench:0", "state", "attempts", "crashes")
    assert fields == ["retry", "1", "0"]
    assert counted(url, "done") == 2
