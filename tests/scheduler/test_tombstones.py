"""Tombstones: how long Redis keeps them, and how many."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from scheduler.events import Promotion
from scheduler.queue import Queue
from tests.support.queue_moves import KEYS, accept, dead_lettered, held, promote
from tests.support.store_snapshot import changes, dump


def _finish(queue: Queue, store: Redis, *ids: str) -> None:
    """Events that were done one second apart, the last of them an hour ago."""
    now = store.time()[0] * 1000
    for place, id in enumerate(ids):
        queue.done(held(queue, id), "recorded")
        store.zadd(KEYS.done, {id: now - 3_600_000 - 1000 * (len(ids) - place)})


def test_tombstones_older_than_the_window_are_trimmed(queue: Queue, store: Redis) -> None:
    _finish(queue, store, "bench:old", "bench:older")
    queue.done(held(queue, "bench:new"), "recorded")
    before = dump(store)
    assert promote(queue, dedup_window_seconds=600) == Promotion(None, 0, 0, 2)
    assert changes(before, dump(store)) == {
        "event:bench:old": None,
        "event:bench:older": None,
        "done": {"bench:old": None, "bench:older": None},
        "stats": {"trimmed": 2},
    }
    assert accept(queue, "bench:new").code == "duplicate"
    assert accept(queue, "bench:old").code == "accepted"


def test_beyond_the_maximum_the_oldest_tombstones_are_trimmed(queue: Queue, store: Redis) -> None:
    _finish(queue, store, *(f"bench:{n}" for n in range(5)))
    assert promote(queue, tombstones_max=3) == Promotion(None, 0, 0, 2)
    assert store.zrange(KEYS.done, 0, -1) == ["bench:2", "bench:3", "bench:4"]
    assert promote(queue, tombstones_max=3).trimmed == 0


@pytest.mark.parametrize("limit", [{"tombstones_max": 0}, {"dedup_window_seconds": 600.0}])
def test_no_tombstone_below_the_least_age_is_trimmed_however_many_there_are(
    queue: Queue, store: Redis, limit: dict[str, Any]
) -> None:
    _finish(queue, store, *(f"bench:{n}" for n in range(5)))
    for id in ("bench:3", "bench:4"):
        store.zincrby(KEYS.done, 1_000_000, id)
    assert promote(queue, remember_at_least_seconds=3100, **limit) == Promotion(None, 0, 0, 3)
    assert store.zrange(KEYS.done, 0, -1) == ["bench:3", "bench:4"]


@pytest.mark.parametrize("limit", [{"dedup_window_seconds": 600.0}, {"tombstones_max": 0}])
def test_tombstones_are_trimmed_in_batches(
    queue: Queue, store: Redis, limit: dict[str, Any]
) -> None:
    _finish(queue, store, *(f"bench:{n}" for n in range(5)))
    runs = [promote(queue, batch=2, **limit) for _ in range(3)]
    assert [(run.next_due_seconds, run.trimmed) for run in runs] == [(0, 2), (0, 2), (None, 1)]
    assert not store.exists(KEYS.done)


def test_tombstones_of_dropped_events_are_trimmed_like_others(queue: Queue, store: Redis) -> None:
    dead_lettered(queue, "bench:1")
    queue.drop("bench:1")
    assert promote(queue).trimmed == 0
    assert promote(queue, tombstones_max=0).trimmed == 1
    assert not store.exists(KEYS.event("bench:1"))


def test_only_finished_events_are_trimmed(queue: Queue, store: Redis) -> None:
    accept(queue, "bench:waiting")
    dead_lettered(queue, "bench:dead")
    before = dump(store)
    assert promote(queue, dedup_window_seconds=0, tombstones_max=0).trimmed == 0
    assert changes(before, dump(store)) == {}


def test_the_counters_reconcile_after_trimming(queue: Queue, store: Redis) -> None:
    _finish(queue, store, "bench:1", "bench:2")
    promote(queue, tombstones_max=0)  # the audit after the verb checks the counters
    assert store.hmget(KEYS.stats, "accepted", "done", "trimmed") == ["2", "2", "2"]
