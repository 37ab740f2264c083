"""The verbs of holders, and exactly what each changes."""

from __future__ import annotations

import pytest
from redis import Redis

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


def test_forward_moves_the_event_to_the_routing_lane_with_attempts_of_its_own(
    queue: Queue, store: Redis
) -> None:
    queue.retry(held(queue), 0, "timeout")
    promote(queue)
    queue.defer(take_one(queue), 1, "mongo_away")
    make_due(store, ID)
    promote(queue)
    event = take_one(queue)
    before = dump(store)
    queue.forward(event)
    assert changes(before, dump(store)) == {
        "event:bench:1": {
            "state": "ready",
            "lane": "routing",
            "attempts": "0",
            "waits": None,
            "reason": None,
        },
        "locks:lookup": None,
        "ready:routing:bench": [ID],
        "turn:routing": ["bench"],
        "wake:routing": ["1"],
        "stats": {"forwarded": 1},
    }


def test_forwarded_events_are_taken_in_the_order_they_came(queue: Queue) -> None:
    for id in ("bench:1", "bench:2", "bench:3"):
        queue.forward(held(queue, id))
    assert [take_one(queue, lane="routing").id for _ in range(3)] == [
        "bench:1",
        "bench:2",
        "bench:3",
    ]


@pytest.mark.parametrize("lane", ["lookup", "routing"])
def test_done_leaves_a_tombstone_with_the_digest_only(
    queue: Queue, store: Redis, lane: str
) -> None:
    event = held(queue) if lane == "lookup" else held_for_routing(queue)
    store.hset(KEYS.event(ID), "received_at", event.received_at_ms - 60_000)
    before = dump(store)
    queue.done(event, "routed")
    after = dump(store)
    changed = changes(before, after)
    assert 60_000 <= changed["stats"].pop("done_ms") < 63_000
    assert changed.pop("event:bench:1").keys() > {"state"}
    assert after["event:bench:1"] == {"state": "done", "digest": "d1"}
    assert changed == {
        "body:bench:1": None,
        f"locks:{lane}": None,
        "done": {ID: now()},
        "stats": {"done": 1, "done:routed": 1, "backlog": -1, "backlog_bytes": -7},
    }


def test_retry_counts_the_attempt_and_names_the_next(queue: Queue, store: Redis) -> None:
    event = held_for_routing(queue)
    before = dump(store)
    queue.retry(event, 8.25, "status 503")
    after = dump(store)
    assert changes(before, after) == {
        "event:bench:1": {
            "state": "retry",
            "attempts": "1",
            "next_at": now(8.25),
            "last_error": "status 503",
        },
        "locks:routing": None,
        "retry": {ID: now(8.25)},
        "wake:scheduler": ["1"],
        "stats": {"retried": 1},
    }
    assert after["event:bench:1"]["next_at"] == str(after["retry"][ID])


def test_a_long_error_is_truncated(queue: Queue, store: Redis) -> None:
    queue.retry(held(queue), 1, "x" * 5000)
    assert store.hget(KEYS.event(ID), "last_error") == "x" * 160


def test_a_failed_attempt_resets_the_deferrals(queue: Queue, store: Redis) -> None:
    queue.defer(held(queue), 1, "mongo_away")
    make_due(store, ID)
    promote(queue)
    queue.retry(take_one(queue), 1, "timeout")
    assert store.hmget(KEYS.event(ID), "waits", "reason") == [None, None]


def test_defer_consumes_no_attempt(queue: Queue, store: Redis) -> None:
    event = held_for_routing(queue)
    before = dump(store)
    queue.defer(event, 3, "breaker_open")
    assert changes(before, dump(store)) == {
        "event:bench:1": {
            "state": "retry",
            "waits": "1",
            "next_at": now(3),
            "reason": "breaker_open",
        },
        "locks:routing": None,
        "retry": {ID: now(3)},
        "wake:scheduler": ["1"],
        "stats": {"deferred": 1},
    }


def test_defer_without_delay_puts_the_event_back_at_the_head(queue: Queue, store: Redis) -> None:
    event = held(queue)
    accept(queue, "bench:2")
    store.delete(KEYS.wake("lookup"))
    before = dump(store)
    queue.defer(event, 0, "process_stopped")
    assert changes(before, dump(store)) == {
        "event:bench:1": {"state": "ready", "reason": "process_stopped"},
        "locks:lookup": None,
        "ready:lookup:bench": ["bench:2", ID],
        "wake:lookup": ["1"],
        "stats": {"deferred": 1},
    }
    assert take_one(queue).id == ID


def test_defer_passes_a_route_and_a_fence_to_the_next_holder(bare_queue: Queue) -> None:
    event = held_for_routing(bare_queue)
    floor = event.fence + 10**9
    route = b'{"route":"R\xff"}'
    bare_queue.defer(event, 0, "mongo_away", fence=floor, route=route)
    again = take_one(bare_queue, lane="routing")
    assert again.route == route
    assert again.fence == floor + 1


def test_bury_keeps_body_and_history(queue: Queue, store: Redis) -> None:
    queue.retry(held_for_routing(queue), 0, "status 503")
    promote(queue)
    event = take_one(queue, lane="routing")
    before = dump(store)
    queue.bury(event, "attempts_exhausted", "status 500", attempts=1)
    assert changes(before, dump(store)) == {
        "event:bench:1": {
            "state": "dead",
            "reason": "attempts_exhausted",
            "last_error": "status 500",
            "attempts": "2",
        },
        "locks:routing": None,
        "dead": {ID: now()},
        "stats": {
            "buried": 1,
            "buried:attempts_exhausted": 1,
            "backlog": -1,
            "backlog_bytes": -7,
        },
    }


def test_bury_without_an_error_keeps_the_last_one(queue: Queue, store: Redis) -> None:
    queue.retry(held(queue), 0, "status 503")
    promote(queue)
    queue.bury(take_one(queue), "unknown_shipment")
    assert store.hmget(KEYS.event(ID), "last_error", "attempts") == ["status 503", "1"]


def test_extend_gives_locks_a_new_deadline_and_returns_the_lost_ones(
    queue: Queue, store: Redis
) -> None:
    mine, lost = held(queue, "bench:mine"), held(queue, "bench:lost")
    expire(store, "bench:lost")
    promote(queue)
    before = dump(store)
    pairs = [(mine.id, mine.gen), (lost.id, lost.gen), ("bench:never", "1")]
    assert queue.extend("lookup", pairs, 120) == ["bench:lost", "bench:never"]
    assert changes(before, dump(store)) == {"locks:lookup": {"bench:mine": now(120)}}


def test_extend_of_nothing_changes_nothing(queue: Queue, store: Redis) -> None:
    held(queue)
    before = dump(store)
    assert queue.extend("lookup", [], 120) == []
    assert changes(before, dump(store)) == {}


def test_a_holder_whose_lease_ended_is_accepted_until_its_lock_is_taken(
    queue: Queue, store: Redis
) -> None:
    event = held(queue)
    expire(store, ID)
    assert queue.extend("lookup", [(event.id, event.gen)], 15) == []
    queue.done(event, "recorded")
    assert store.hget(KEYS.event(ID), "state") == "done"


def test_the_scheduler_is_woken_for_an_earlier_due_time_only(queue: Queue, store: Redis) -> None:
    events = [held(queue, f"bench:{n}") for n in range(4)]
    queue.retry(events[0], 50, "timeout")
    assert store.llen(KEYS.wake_scheduler) == 1
    store.delete(KEYS.wake_scheduler)
    queue.retry(events[1], 60, "timeout")
    assert store.llen(KEYS.wake_scheduler) == 0
    queue.retry(events[2], 40, "timeout")
    assert store.llen(KEYS.wake_scheduler) == 1
    queue.defer(events[3], 30, "mongo_away")
    assert store.llen(KEYS.wake_scheduler) == 1
