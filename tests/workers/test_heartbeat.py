"""Single heartbeats on a real Redis: locks are extended, and given up after the deadline."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from conf.lifecycle import Stop
from scheduler.connection import RedisConnection
from scheduler.errors import NotHolder, RedisUnavailable
from scheduler.queue import Queue
from scheduler.retry_policy import RetryPolicy
from tests.support.queue_moves import accept
from tests.support.samples import body
from workers.attempt import Attempts
from workers.heartbeat import STUCK_SECONDS, Heartbeat
from workers.identity import Identity
from workers.jobs import Job, Jobs
from workers.store_gate import StoreGate

ME = Identity("host/worker-lookup_00", "boot1")
DEADLINE = 30.0
POLICY = RetryPolicy(
    floor_seconds=1, base_seconds=2, cap_seconds=60, max_attempts=3, max_age_seconds=100
)
LOCKS = "{gw:0}:locks:lookup"


class LookupLaneStub:
    name = "lookup"

    def refresh(self) -> None:
        pass


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def heart(queue: Queue, clock: Clock) -> Heartbeat:
    lane: Any = LookupLaneStub()
    no_ledger: Any = None
    store = StoreGate(lambda: True)
    attempts = Attempts(
        lane, no_ledger, store, POLICY, lease_seconds=10, clock=clock, uniform=random.random
    )
    return Heartbeat(
        queue,
        Jobs(clock),
        attempts,
        ME,
        slots=16,
        lease_seconds=10,
        deadline_seconds=DEADLINE,
        stop=Stop(),
    )


@pytest.fixture
def take(queue: Queue, heart: Heartbeat, clock: Clock) -> Callable[..., Job]:
    """Accept an event unless it is known, reserve it and hold it."""

    def take(id: str = "bench:a", *, lease: float = 10, probe: bool = False) -> Job:
        accept(queue, id, body=body())
        (event,) = queue.reserve("lookup", 1, owner=ME.owner, boot=ME.boot, lease_seconds=lease)
        job = Job(event, clock.now, probe=probe)
        heart.jobs.add(job)
        return job

    return take


def hash_of(store: Redis, id: str = "bench:a") -> dict[str, str]:
    found: Any = store.hgetall("{gw:0}:event:" + id)
    return dict(found)


def deadline_of(store: Redis, id: str = "bench:a") -> float | None:
    score: Any = store.zscore(LOCKS, id)
    return None if score is None else float(score)


def let_it_expire(queue: Queue, store: Redis, id: str = "bench:a") -> None:
    """As if this process was suspended: the lease ends, and the scheduler promotes the event."""
    store.zadd(LOCKS, {id: 1})
    done = queue.promote(
        lease_seconds=10, max_crashes=5, dedup_window_seconds=100, tombstones_max=100
    )
    assert done.expired == 1


def test_a_heartbeat_extends_every_lock(
    store: Redis, heart: Heartbeat, take: Callable[..., Job]
) -> None:
    take(lease=1)
    before = deadline_of(store)
    heart.beat()
    after = deadline_of(store)
    assert before is not None
    assert after is not None
    assert after - before > 8000


def test_a_heartbeat_reports_the_process_as_live(
    store: Redis, heart: Heartbeat, take: Callable[..., Job]
) -> None:
    take()
    heart.beat()
    key = "gw:proc:host/worker-lookup_00"
    assert store.hgetall(key) == {
        "pid": str(os.getpid()),
        "boot": "boot1",
        "lane": "lookup",
        "slots": "16",
        "busy": "1",
    }
    assert 0 < store.pttl(key) <= 4000


def test_a_job_that_lost_its_lock_is_abandoned(
    queue: Queue, store: Redis, heart: Heartbeat, take: Callable[..., Job]
) -> None:
    lost, kept = take("bench:a"), take("bench:b")
    let_it_expire(queue, store)
    heart.beat()
    assert lost.abandoned
    assert not kept.abandoned
    assert hash_of(store)["attempts"] == "0"


def test_after_a_second_reservation_of_an_event_only_the_later_job_holds_it(
    queue: Queue, store: Redis, heart: Heartbeat, take: Callable[..., Job]
) -> None:
    earlier = take()
    let_it_expire(queue, store)
    later = take()
    heart.beat()
    assert earlier.abandoned
    assert not later.abandoned
    store.zadd(LOCKS, {"bench:a": 1})
    heart._extended_at = 0
    heart.beat()
    assert (deadline_of(store) or 0) > 1
    queue.done(later.event, "recorded")


def test_beyond_its_deadline_an_event_is_retried_and_its_thread_s_result_is_refused(
    queue: Queue, store: Redis, heart: Heartbeat, take: Callable[..., Job], clock: Clock
) -> None:
    job = take()
    clock.now += DEADLINE
    heart.beat()
    assert not job.abandoned
    clock.now += 0.1
    heart.beat()
    assert job.abandoned
    fields = hash_of(store)
    assert (fields["state"], fields["attempts"]) == ("retry", "1")
    assert fields["last_error"] == "attempt took longer than 30 s"
    with pytest.raises(NotHolder):
        queue.done(job.event, "recorded")


def test_beyond_the_deadline_of_its_last_attempt_an_event_is_retried_too(
    store: Redis, heart: Heartbeat, take: Callable[..., Job], clock: Clock
) -> None:
    job = take()
    job.event = replace(job.event, attempts=2)
    clock.now += DEADLINE + 1
    heart.beat()
    assert hash_of(store)["state"] == "retry"


def test_a_probe_beyond_its_deadline_consumes_no_attempt(
    store: Redis, heart: Heartbeat, take: Callable[..., Job], clock: Clock
) -> None:
    take(probe=True)
    clock.now += DEADLINE + 1
    heart.beat()
    fields = hash_of(store)
    assert (fields["state"], fields["attempts"], fields["reason"]) == ("retry", "0", "probe_failed")


def test_a_thread_stuck_beyond_the_deadline_ends_the_process(
    heart: Heartbeat, take: Callable[..., Job], clock: Clock
) -> None:
    job = take()
    clock.now += DEADLINE + STUCK_SECONDS
    heart.beat()
    assert job.abandoned
    assert not heart.stop.is_set()
    clock.now += 0.1
    heart.beat()
    assert heart.stop.reason == "a thread is stuck"


def test_a_concluded_job_keeps_its_lock_for_as_long_as_redis_is_unavailable(
    queue: Queue, store: Redis, heart: Heartbeat, take: Callable[..., Job], clock: Clock
) -> None:
    job = take()
    job.concluded = True
    clock.now += 10 * (DEADLINE + STUCK_SECONDS)
    store.zadd(LOCKS, {"bench:a": 1})
    heart.beat()
    assert not job.abandoned
    assert not heart.stop.is_set()
    assert (deadline_of(store) or 0) > 1
    queue.done(job.event, "recorded")


def test_a_deadline_that_passes_during_an_outage_of_redis_takes_effect_after_it(
    queue: Queue, store: Redis, heart: Heartbeat, take: Callable[..., Job], clock: Clock
) -> None:
    job = take()
    clock.now += DEADLINE + 1
    heart.queue = Queue(RedisConnection("unix:///nowhere/at/all.sock"))
    with pytest.raises(RedisUnavailable):
        heart.beat()
    assert not job.abandoned
    heart.queue = queue
    heart.beat()
    assert job.abandoned
    assert hash_of(store)["attempts"] == "1"


def test_an_event_that_finished_at_its_deadline_stays_as_it_ended(
    queue: Queue, store: Redis, heart: Heartbeat, take: Callable[..., Job], clock: Clock
) -> None:
    job = take()
    clock.now += DEADLINE + 1
    queue.done(job.event, "recorded")
    heart.beat()
    assert hash_of(store)["state"] == "done"
