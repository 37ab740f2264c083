"""The worker process: its slots, its permits, and how it stops."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import pytest

from scheduler.connection import RedisConnection
from scheduler.queue import Queue
from tests.support.in_process_worker import (
    EVENT,
    InProcessWorker,
    accept,
    client,
    counted,
    done_at_once,
)
from tests.support.servers import await_true
from workers import heartbeat as heartbeat_module
from workers.jobs import Job
from workers.results import Done, Result, Retry


def test_it_processes_everything_within_its_limit(url: str) -> None:
    accept(url, 300)
    barrier = threading.Barrier(3)

    def together(job: Job) -> Result:
        with worker.lane:
            barrier.wait(30)  # passed only when three events are in work at once
            return Done("routed")

    worker = InProcessWorker(url, together)
    worker.lane.limit = 3
    worker.start()
    await_true(lambda: counted(url, "done") == 300, 60)
    worker.end()
    assert worker.lane.most_running == 3
    assert counted(url, "reserved") == 300


def test_a_new_event_wakes_an_idle_worker(url: str) -> None:
    worker = InProcessWorker(url, done_at_once).start()
    for n in range(1, 4):
        accept(url, n)
        await_true(lambda n=n: counted(url, "done") == n, 30)  # type: ignore[misc]
    worker.end()


def test_it_reclaims_what_its_predecessor_held(url: str) -> None:
    accept(url, 3)
    queue = Queue(RedisConnection(url))
    assert (
        len(queue.reserve("lookup", 3, owner="host/worker", boot="older", lease_seconds=3600)) == 3
    )
    worker = InProcessWorker(url, done_at_once).start()
    await_true(lambda: counted(url, "done") == 3, 30)
    worker.end()
    assert counted(url, "crashed") == 3


def crash(url: str, times: int) -> None:
    """Let every ready event be part of so many crashes."""
    queue = Queue(RedisConnection(url))
    for boot in range(times):
        # From the second crash on they are in quarantine, and a reserve returns one of them.
        while queue.reserve("lookup", 100, owner="host/worker", boot=str(boot), lease_seconds=3600):
            pass
        queue.reclaim("lookup", "host/worker", "next", 5)
    queue.connection.close()


def test_quarantined_events_follow_one_another_without_a_pause(url: str) -> None:
    accept(url, 40)
    crash(url, 2)

    def slow(job: Job) -> Result:
        threading.Event().wait(0.03)  # long enough for a reserve that returns nothing
        return Done("routed")

    worker = InProcessWorker(url, slow).start()
    await_true(lambda: counted(url, "done") == 40, 35)  # 40 s if each had to wait for a wake-up
    worker.end()


def test_one_quarantined_event_is_in_work_at_a_time(url: str) -> None:
    accept(url, 6)
    crash(url, 2)

    def slow(job: Job) -> Result:
        with worker.lane:
            threading.Event().wait(0.1)  # long enough to reserve another
            return Done("routed")

    worker = InProcessWorker(url, slow).start()
    await_true(lambda: counted(url, "done") == 6, 30)
    worker.end()
    assert worker.lane.most_running == 1


def test_an_event_that_one_more_crash_would_dead_letter_is_processed_exclusively(url: str) -> None:
    accept(url, 1)
    crash(url, 4)
    accept(url, 40)
    inside = threading.Event()
    overlapped: list[bool] = []

    def slow(job: Job) -> Result:
        if job.event.id == "bench:0":
            inside.set()
            threading.Event().wait(0.5)  # long enough to reserve the others
            inside.clear()
        else:
            overlapped.append(inside.is_set())
        return Done("routed")

    worker = InProcessWorker(url, slow).start()
    await_true(lambda: counted(url, "done") == 40, 30)
    worker.end()
    assert overlapped == [False] * 39


def test_after_a_stop_it_finishes_what_it_holds_and_reserves_nothing_more(url: str) -> None:
    accept(url, 10)
    inside, go_on = threading.Semaphore(0), threading.Event()

    def slow(job: Job) -> Result:
        inside.release()
        go_on.wait(30)
        return Done("routed")

    worker = InProcessWorker(url, slow).start()
    for _ in range(4):
        assert inside.acquire(timeout=30)
    worker.stop.set("SIGTERM")
    go_on.set()
    worker.wait()
    assert (counted(url, "done"), counted(url, "reserved")) == (4, 4)


def test_what_does_not_end_within_the_drain_is_returned_and_consumes_no_attempt(url: str) -> None:
    accept(url, 2)
    inside, go_on = threading.Semaphore(0), threading.Event()

    def endless(job: Job) -> Result:
        inside.release()
        go_on.wait(60)
        return Retry(1, "discarded")

    worker = InProcessWorker(url, endless, DRAIN_SECONDS="0.1").start()
    for _ in range(2):
        assert inside.acquire(timeout=30)
    worker.end()
    for id in ("bench:0", "bench:1"):
        fields: Any = client(url).hmget(EVENT + id, "state", "attempts", "crashes", "reason")
        assert fields == ["ready", "0", "0", "process_stopped"]
    successor = InProcessWorker(url, done_at_once, boot="next").start()
    await_true(lambda: counted(url, "done") == 2, 30)
    successor.end()
    go_on.set()
    assert (counted(url, "crashed"), counted(url, "retried")) == (0, 0)


def test_a_thread_survives_a_result_that_the_queue_rejects_and_the_lock_expires(
    url: str,
) -> None:
    def odd(job: Job) -> Result:
        return Retry(float("nan"), "") if int(job.event.id[6:]) < 6 else Done("routed")

    accept(url, 30)
    worker = InProcessWorker(url, odd).start()
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

    worker = InProcessWorker(url, probe)
    worker.lane.available = deque(["p1", "p2", "p3", "p4"])
    accept(url, 2)
    worker.start()
    await_true(lambda: counted(url, "done") == 2, 30)
    worker.end()
    assert len(used) == 1
    assert sorted([*worker.lane.given_back, *used]) == ["p1", "p2", "p3", "p4"]


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
    worker = InProcessWorker(
        url, hang, ATTEMPT_SECONDS="1", ROUTING_TIMEOUT_SECONDS="0.5", DRAIN_SECONDS="0.1"
    ).start()
    worker.wait(60)
    assert worker.stop.reason == "a thread is stuck"
    stuck.set()
    fields: Any = client(url).hmget(EVENT + "bench:0", "state", "attempts", "crashes")
    assert fields == ["retry", "1", "0"]
    assert counted(url, "done") == 2
