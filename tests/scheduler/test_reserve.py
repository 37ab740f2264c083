"""reserve: up to n events for one owner, round-robin over the sources."""

from __future__ import annotations

import pytest
from redis import Redis

from scheduler.events import Reserved
from scheduler.queue import Queue
from tests.support.queue_moves import (
    ID,
    KEYS,
    accept,
    crash,
    held,
    make_due,
    promote,
    take,
    take_one,
)
from tests.support.store_snapshot import changes, dump, fresh_gen, now


def test_a_reserved_event_is_locked_with_owner_boot_and_a_fresh_fencing_token(
    queue: Queue, store: Redis
) -> None:
    accept(queue)
    store.delete(KEYS.wake("lookup"))
    before = dump(store)
    event = take_one(queue, owner="h/w_00", boot="b7", lease_seconds=15)
    assert changes(before, dump(store)) == {
        "event:bench:1": {"state": "locked", "gen": fresh_gen(), "owner": "h/w_00", "boot": "b7"},
        "locks:lookup": {ID: now(15)},
        "ready:lookup:bench": None,
        "turn:lookup": None,
        "stats": {"reserved": 1},
    }
    assert event == Reserved(
        id=ID,
        gen=event.gen,
        lane="lookup",
        source="bench",
        attempts=0,
        waits=0,
        crashes=0,
        received_at_ms=now(),
        live_since_ms=now(),
        route=b"",
        body=b'{"n":1}',
    )
    assert event.gen == store.hget(KEYS.event(ID), "gen")


def test_the_holder_gets_attempts_waits_crashes_and_a_route_to_record(
    queue: Queue, store: Redis
) -> None:
    queue.retry(held(queue), 0, "timeout")
    promote(queue)
    queue.defer(take_one(queue), 0.001, "mongo_away", route=b'{"r":1}')
    make_due(store, ID)
    promote(queue)
    crash(queue, store, 1)
    event = take_one(queue)
    assert (event.attempts, event.waits, event.crashes, event.route) == (1, 1, 1, b'{"r":1}')


@pytest.mark.parametrize("n", [0, 1, 5])
def test_nothing_is_taken_from_an_empty_lane_and_nothing_changes(
    queue: Queue, store: Redis, n: int
) -> None:
    held(queue)
    before = dump(store)
    assert take(queue, n) == []
    assert changes(before, dump(store)) == {}


def test_no_more_events_are_taken_than_wanted(queue: Queue, store: Redis) -> None:
    for i in range(5):
        accept(queue, f"bench:{i}")
    before = dump(store)
    assert take(queue, 0) == []
    assert changes(before, dump(store)) == {}
    assert len(take(queue, 3)) == 3
    assert store.lrange(KEYS.ready("lookup", "bench"), 0, -1) == ["bench:4", "bench:3"]


def test_sources_are_served_round_robin_whatever_their_backlog(queue: Queue) -> None:
    for i in range(50):
        accept(queue, f"flood:{i}")
    for i in range(2):
        accept(queue, f"calm:{i}")
        accept(queue, f"quiet:{i}")
    assert [e.id for e in take(queue, 7)] == [
        "flood:0",
        "calm:0",
        "quiet:0",
        "flood:1",
        "calm:1",
        "quiet:1",
        "flood:2",
    ]


def test_the_round_robin_continues_from_one_reserve_to_the_next(queue: Queue) -> None:
    for i in range(4):
        accept(queue, f"flood:{i}")
    accept(queue, "calm:0")
    assert [take_one(queue).id for _ in range(3)] == ["flood:0", "calm:0", "flood:1"]


def test_a_source_that_has_events_again_is_served_after_the_others(queue: Queue) -> None:
    accept(queue, "a:1")
    accept(queue, "b:1")
    accept(queue, "b:2")
    assert take_one(queue).id == "a:1"
    accept(queue, "a:2")
    assert [e.id for e in take(queue, 3)] == ["b:1", "a:2", "b:2"]


def test_lanes_are_separate(queue: Queue) -> None:
    queue.forward(held(queue, "bench:routed"))
    accept(queue, "bench:new")
    assert [e.id for e in take(queue, 9, lane="routing")] == ["bench:routed"]
    assert [e.id for e in take(queue, 9, lane="lookup")] == ["bench:new"]


def test_a_reserve_that_takes_events_wakes_the_next_worker_while_events_remain(
    queue: Queue, store: Redis
) -> None:
    for i in range(3):
        accept(queue, f"bench:{i}")
    store.delete(KEYS.wake("lookup"))
    take(queue, 2)
    assert store.llen(KEYS.wake("lookup")) == 1
    store.delete(KEYS.wake("lookup"))
    take(queue, 2)
    assert store.llen(KEYS.wake("lookup")) == 0


def test_the_wake_tokens_of_reserve_are_bounded(queue: Queue, store: Redis) -> None:
    for i in range(20):
        accept(queue, f"bench:{i}")
    for _ in range(19):
        take_one(queue)
    assert store.llen(KEYS.wake("lookup")) == 8


def test_the_fencing_token_rises_although_the_clock_is_behind_it(
    queue: Queue, store: Redis
) -> None:
    ahead = 4_000_000_000_000_000  # µs, in the year 2096
    event = held(queue)
    queue.defer(event, 0, "fence_behind", fence=ahead)
    assert store.hget(KEYS.event(ID), "gen") == str(ahead)
    gens = []
    for _ in range(3):
        event = take_one(queue)
        gens.append(event.fence)
        queue.defer(event, 0, "again")
    assert gens == [ahead + 1, ahead + 2, ahead + 3]


def test_a_lower_fence_does_not_lower_the_fencing_token(queue: Queue, store: Redis) -> None:
    event = held(queue)
    queue.defer(event, 0, "fence_behind", fence=17)
    assert store.hget(KEYS.event(ID), "gen") == event.gen
    assert take_one(queue).fence > event.fence


@pytest.mark.parametrize("state", ["locked", "retry", "dead", "done", "unknown"])
def test_an_id_that_is_not_ready_is_skipped_and_counted(
    bare_queue: Queue, store: Redis, state: str
) -> None:
    if state != "unknown":
        event = held(bare_queue)
    if state == "retry":
        bare_queue.retry(event, 60, "timeout")
    if state == "dead":
        bare_queue.bury(event, "permanent")
    if state == "done":
        bare_queue.done(event, "recorded")
    accept(bare_queue, "bench:good")
    before = dump(store)
    store.rpush(KEYS.ready("lookup", "bench"), ID)  # manual corruption; the next to be served
    assert [e.id for e in take(bare_queue, 1)] == ["bench:good"]
    changed = changes(before, dump(store))
    assert changed["stats"] == {"skipped": 1, "reserved": 1}
    assert f"event:{ID}" not in changed
    assert f"body:{ID}" not in changed


def test_an_id_in_the_list_of_another_lane_is_moved_to_its_own(
    bare_queue: Queue, store: Redis
) -> None:
    bare_queue.forward(held(bare_queue))
    store.delete(KEYS.ready("routing", "bench"), KEYS.turn("routing"), KEYS.wake("routing"))
    store.rpush(KEYS.ready("lookup", "bench"), ID)
    store.rpush(KEYS.turn("lookup"), "bench")
    store.delete(KEYS.wake("lookup"))
    before = dump(store)
    assert take(bare_queue, 1) == []
    assert changes(before, dump(store)) == {
        "ready:lookup:bench": None,
        "turn:lookup": None,
        "stats": {"skipped": 1},
        "ready:routing:bench": [ID],
        "turn:routing": ["bench"],
        "wake:routing": ["1"],
    }


def test_an_event_without_its_body_is_dead_lettered_and_others_are_served(
    bare_queue: Queue, store: Redis
) -> None:
    accept(bare_queue, "bench:1")
    accept(bare_queue, "bench:2")
    store.delete(KEYS.body("bench:1"))
    before = dump(store)
    assert [e.id for e in take(bare_queue, 2)] == ["bench:2"]
    changed = changes(before, dump(store))
    assert changed["event:bench:1"] == {"state": "dead", "reason": "body_missing"}
    assert changed["dead"] == {"bench:1": now()}
    assert changed["stats"] == {
        "buried": 1,
        "buried:body_missing": 1,
        "backlog": -1,
        "reserved": 1,
    }


def test_others_are_served_after_an_event_with_a_damaged_hash(
    bare_queue: Queue, store: Redis
) -> None:
    accept(bare_queue, "bench:1")
    accept(bare_queue, "bench:2")
    store.hdel(KEYS.event("bench:1"), "lane")
    assert [e.id for e in take(bare_queue, 2)] == ["bench:2"]
    assert store.hget(KEYS.stats, "skipped") == "1"
