"""Every verb refuses a holder that lost its lock, and changes nothing but a counter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from redis import Redis

from scheduler.errors import NotHolder
from scheduler.events import Reserved
from scheduler.keys import LaneName
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
from tests.support.store_snapshot import changes, dump

Act = Callable[[Queue, Reserved], None]

VERBS: dict[str, Act] = {
    "forward": lambda queue, event: queue.forward(event),
    "done": lambda queue, event: queue.done(event, "recorded"),
    "retry": lambda queue, event: queue.retry(event, 1, "timeout"),
    "defer": lambda queue, event: queue.defer(event, 1, "mongo_away", fence=event.fence + 9),
    "defer_now": lambda queue, event: queue.defer(event, 0, "process_stopped", route=b"r"),
    "bury": lambda queue, event: queue.bury(event, "permanent", "no", attempts=1),
}


def _expired(queue: Queue, store: Redis, lane: LaneName) -> Reserved:
    """The fencing token is still the current one, but the lock was removed."""
    event = _held(queue, lane)
    expire(store, ID, lane=lane)
    promote(queue)
    assert store.hget(KEYS.event(ID), "gen") == event.gen
    return event


def _reclaimed(queue: Queue, store: Redis, lane: LaneName) -> Reserved:
    event = _held(queue, lane)
    assert queue.reclaim(lane, "host/w", "b2", 5) == 1
    return event


def _taken_over(queue: Queue, store: Redis, lane: LaneName) -> Reserved:
    """Another process holds the lock, with a higher fencing token."""
    event = _expired(queue, store, lane)
    take_one(queue, lane=lane, owner="host/other")
    return event


def _poisoned(queue: Queue, store: Redis, lane: LaneName) -> Reserved:
    event = _held(queue, lane)
    expire(store, ID, lane=lane)
    promote(queue, max_crashes=1)
    return event


def _retried_meanwhile(queue: Queue, store: Redis, lane: LaneName) -> Reserved:
    event = _held(queue, lane)
    queue.retry(event, 1, "timeout")
    make_due(store, ID)
    promote(queue)
    return event


def _finished(queue: Queue, store: Redis, lane: LaneName) -> Reserved:
    event = _held(queue, lane)
    queue.done(event, "recorded")
    return event


def _forgotten(queue: Queue, store: Redis, lane: LaneName) -> Reserved:
    """Redis was emptied."""
    event = _held(queue, lane)
    store.flushall()
    return event


def _of_another_generation(queue: Queue, store: Redis, lane: LaneName) -> Reserved:
    event = _held(queue, lane)
    return replace(event, gen=str(event.fence - 1))


def _in_the_wrong_lane(queue: Queue, store: Redis, lane: LaneName) -> Reserved:
    event = _held(queue, lane)
    return replace(event, lane="routing" if lane == "lookup" else "lookup")


def _never_taken(queue: Queue, store: Redis, lane: LaneName) -> Reserved:
    event = _held(queue, lane)
    queue.defer(event, 0, "process_stopped")
    return replace(event, gen="0")


def _held(queue: Queue, lane: LaneName) -> Reserved:
    return held(queue) if lane == "lookup" else held_for_routing(queue)


WAYS = [
    _expired,
    _reclaimed,
    _taken_over,
    _poisoned,
    _retried_meanwhile,
    _finished,
    _forgotten,
    _of_another_generation,
    _in_the_wrong_lane,
    _never_taken,
]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))
def test_a_stale_holder_changes_nothing(
    queue: Queue, store: Redis, way: Callable[..., Reserved], verb: str
) -> None:
    of_lookup = verb == "forward" and way is not _in_the_wrong_lane
    stale = way(queue, store, "lookup" if of_lookup else "routing")
    before = dump(store)
    with pytest.raises(NotHolder):
        VERBS[verb](queue, stale)
    assert changes(before, dump(store)) == {"stats": {"refused_stale": 1}}


@pytest.mark.parametrize("lane", ["lookup", "routing"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))
def test_a_stale_holder_extends_nothing(
    queue: Queue, store: Redis, way: Callable[..., Reserved], lane: LaneName
) -> None:
    stale = way(queue, store, lane)
    before = dump(store)
    assert queue.extend(stale.lane, [(stale.id, stale.gen)], 100) == [ID]
    assert changes(before, dump(store)) == {}


@pytest.mark.parametrize("verb", VERBS)
def test_a_repeated_verb_has_no_effect(queue: Queue, store: Redis, verb: str) -> None:
    event = held(queue)
    VERBS[verb](queue, event)
    before = dump(store)
    with pytest.raises(NotHolder):
        VERBS[verb](queue, event)
    assert changes(before, dump(store)) == {"stats": {"refused_stale": 1}}


@pytest.mark.parametrize("verb", VERBS)
def test_a_stale_holder_does_not_change_what_the_new_one_does(
    queue: Queue, store: Redis, verb: str
) -> None:
    stale = _taken_over(queue, store, "lookup")
    with pytest.raises(NotHolder):
        VERBS[verb](queue, stale)
    current = store.hget(KEYS.event(ID), "gen")
    queue.done(replace(stale, gen=str(current)), "recorded")
    assert store.hget(KEYS.event(ID), "state") == "done"


def test_other_events_continue_after_a_refused_verb(queue: Queue, store: Redis) -> None:
    stale = _expired(queue, store, "lookup")
    accept(queue, "bench:2")
    with pytest.raises(NotHolder):
        queue.done(stale, "recorded")
    assert [take_one(queue).id for _ in range(2)] == [ID, "bench:2"]
