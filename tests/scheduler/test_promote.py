"""promote: due retries, the next due time, the drain rate, and locks after an outage."""

from __future__ import annotations

import pytest
from redis import Redis

from scheduler.events import Promotion
from scheduler.queue import Queue
from tests.support.queue_moves import (
    ID,
    KEYS,
    accept,
    expire,
    held,
    held_for_routing,
    make_due,
    promote,
    take_one,
)
from tests.support.store_snapshot import changes, dump, now


def _ago(store: Redis, mark: str, seconds: float) -> None:
    """Move a time that promote has noted so far into the past."""
    now_s, micros = store.time()
    store.hset(KEYS.stats, mark, now_s * 1000 + micros // 1000 - round(seconds * 1000))


def test_a_due_retry_becomes_ready_as_the_last_of_its_source(queue: Queue, store: Redis) -> None:
    queue.retry(held_for_routing(queue, "bench:1"), 60, "timeout")
    queue.forward(held(queue, "bench:2"))
    make_due(store, "bench:1")
    store.delete(KEYS.wake("routing"))
    before = dump(store)
    assert promote(queue) == Promotion(None, 1, 0, 0)
    assert changes(before, dump(store)) == {
        "event:bench:1": {"state": "ready", "next_at": None},
        "retry": None,
        "ready:routing:bench": ["bench:1", "bench:2"],
        "wake:routing": ["1"],
    }


def test_an_event_that_is_not_due_stays_and_the_next_due_time_is_returned(
    queue: Queue, store: Redis
) -> None:
    queue.retry(held(queue, "bench:1"), 40, "timeout")
    queue.retry(held(queue, "bench:2"), 20, "timeout")
    held(queue, "bench:3", lease_seconds=30)
    before = dump(store)
    done = promote(queue)
    assert (done.promoted, done.expired) == (0, 0)
    assert done.next_due_seconds == pytest.approx(20, abs=1)
    assert changes(before, dump(store)) == {}


def test_the_end_of_a_lease_is_a_due_time(queue: Queue) -> None:
    queue.retry(held(queue, "bench:1"), 40, "timeout")
    held_for_routing(queue, "bench:2", lease_seconds=9)
    assert promote(queue).next_due_seconds == pytest.approx(9, abs=1)


def test_with_an_empty_queue_there_is_no_due_time(queue: Queue) -> None:
    assert promote(queue).next_due_seconds is None
    accept(queue)
    assert promote(queue).next_due_seconds is None


def test_a_run_promotes_at_most_a_batch_and_the_next_run_is_due_at_once(
    queue: Queue, store: Redis
) -> None:
    ids = [f"bench:{n}" for n in range(5)]
    for id in ids:
        queue.retry(held(queue, id), 60, "timeout")
    make_due(store, *ids)
    assert promote(queue, batch=2) == Promotion(0, 2, 0, 0)
    assert promote(queue, batch=2) == Promotion(0, 2, 0, 0)
    assert promote(queue, batch=2) == Promotion(None, 1, 0, 0)


def test_expired_locks_come_in_batches_too(queue: Queue, store: Redis) -> None:
    ids = [held(queue, f"bench:{n}").id for n in range(3)]
    expire(store, *ids)
    assert promote(queue, batch=2) == Promotion(0, 0, 2, 0)
    assert promote(queue, batch=2) == Promotion(None, 0, 1, 0)


def test_a_repeated_run_changes_nothing(queue: Queue, store: Redis) -> None:
    queue.retry(held(queue), 60, "timeout")
    make_due(store, ID)
    promote(queue)
    before = dump(store)
    assert promote(queue) == Promotion(None, 0, 0, 0)
    assert changes(before, dump(store)) == {}


def test_a_stray_id_among_the_retries_is_skipped_and_counted(
    bare_queue: Queue, store: Redis
) -> None:
    held(bare_queue)
    store.zadd(KEYS.retry, {ID: 1, "bench:unknown": 1})
    before = dump(store)
    assert promote(bare_queue).promoted == 0
    assert changes(before, dump(store)) == {"retry": None, "stats": {"skipped": 2}}


def test_a_stray_lock_is_skipped_and_counted(bare_queue: Queue, store: Redis) -> None:
    accept(bare_queue)
    store.zadd(KEYS.locks("lookup"), {ID: 1, "bench:unknown": 1})
    before = dump(store)
    assert promote(bare_queue).expired == 0
    assert changes(before, dump(store)) == {"locks:lookup": None, "stats": {"skipped": 2}}


def test_after_an_outage_locks_are_spared_for_one_lease(queue: Queue, store: Redis) -> None:
    held(queue)
    promote(queue)
    expire(store, ID)
    _ago(store, "promoted_at", 8)  # more than half of the lease of 15 s
    before = dump(store)
    done = promote(queue)
    assert done.expired == 0
    assert done.next_due_seconds == pytest.approx(15, abs=1)
    after = dump(store)
    assert after["stats"]["spare_until"] == now(15)
    assert changes(before, after) == {}
    assert promote(queue).expired == 0
    _ago(store, "spare_until", 0.01)
    assert promote(queue).expired == 1


def test_a_holder_that_extends_within_the_spared_lease_keeps_its_event(
    queue: Queue, store: Redis
) -> None:
    event = held(queue)
    promote(queue)
    expire(store, ID)
    _ago(store, "promoted_at", 3600)
    promote(queue)
    assert queue.extend("lookup", [(event.id, event.gen)], 15) == []
    _ago(store, "spare_until", 0.01)
    assert promote(queue).expired == 0


def test_retries_are_not_delayed_after_an_outage(queue: Queue, store: Redis) -> None:
    queue.retry(held(queue), 60, "timeout")
    promote(queue)
    make_due(store, ID)
    _ago(store, "promoted_at", 3600)
    assert promote(queue).promoted == 1


def test_a_short_gap_is_not_taken_for_an_outage(queue: Queue, store: Redis) -> None:
    held(queue)
    promote(queue)
    expire(store, ID)
    _ago(store, "promoted_at", 5)
    assert promote(queue).expired == 1


def test_the_drain_rate_is_measured_over_a_second_or_more(queue: Queue, store: Redis) -> None:
    promote(queue)
    for n in range(10):
        queue.done(held(queue, f"bench:{n}"), "recorded")
    promote(queue)
    assert store.hget(KEYS.stats, "drain_per_second") == "0.00"  # measured too early
    _ago(store, "drain_at", 10)
    promote(queue)
    assert float(store.hget(KEYS.stats, "drain_per_second") or "") == pytest.approx(1, abs=0.05)
    _ago(store, "drain_at", 2.5)
    promote(queue)
    assert float(store.hget(KEYS.stats, "drain_per_second") or "") == pytest.approx(0.5, abs=0.05)


def test_after_a_standstill_the_first_measurement_of_the_drain_rate_counts_whole(
    queue: Queue, store: Redis
) -> None:
    promote(queue)
    for n in range(10):
        queue.done(held(queue, f"bench:{n}"), "recorded")
    _ago(store, "drain_at", 1)
    promote(queue)
    assert float(store.hget(KEYS.stats, "drain_per_second") or "") == pytest.approx(10, rel=0.1)
    _ago(store, "drain_at", 1)
    promote(queue)  # averaged from then on
    assert float(store.hget(KEYS.stats, "drain_per_second") or "") == pytest.approx(8, rel=0.1)


def test_a_due_retry_wakes_a_worker_of_its_lane(queue: Queue, store: Redis) -> None:
    queue.retry(held_for_routing(queue), 60, "timeout")
    make_due(store, ID)
    store.delete(KEYS.wake("routing"), KEYS.wake("lookup"))
    promote(queue)
    assert store.llen(KEYS.wake("routing")) == 1
    assert store.llen(KEYS.wake("lookup")) == 0
    assert take_one(queue, lane="routing").attempts == 1
