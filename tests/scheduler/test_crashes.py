"""Holders that crash: expiry, reclaim, quarantine and poison."""

from __future__ import annotations

from redis import Redis

from scheduler.queue import Queue
from tests.support.queue_moves import (
    ID,
    KEYS,
    accept,
    crash,
    expire,
    held,
    held_for_routing,
    promote,
    take,
    take_one,
)
from tests.support.store_snapshot import changes, dump, now


def test_an_expired_lock_returns_its_event_to_the_head_with_a_crash_more(
    queue: Queue, store: Redis
) -> None:
    event = held(queue)
    accept(queue, "bench:2")
    expire(store, ID)
    store.delete(KEYS.wake("lookup"))
    before = dump(store)
    done = promote(queue)
    assert (done.promoted, done.expired, done.trimmed) == (0, 1, 0)
    assert changes(before, dump(store)) == {
        "stats": {"crashed": 1},
        "event:bench:1": {"state": "ready", "crashes": "1"},
        "locks:lookup": None,
        "ready:lookup:bench": ["bench:2", ID],
        "wake:lookup": ["1"],
    }
    again = take_one(queue)
    assert (again.id, again.crashes) == (ID, 1)
    assert again.fence > event.fence


def test_a_lock_that_has_not_expired_stays(queue: Queue, store: Redis) -> None:
    held(queue)
    promote(queue)
    before = dump(store)
    assert promote(queue).expired == 0
    assert changes(before, dump(store)) == {}


def test_locks_of_both_lanes_expire(queue: Queue, store: Redis) -> None:
    held_for_routing(queue, "bench:r")
    held(queue, "bench:l")
    expire(store, "bench:r", lane="routing")
    expire(store, "bench:l", lane="lookup")
    assert promote(queue).expired == 2
    assert take_one(queue, lane="routing").id == "bench:r"
    assert take_one(queue, lane="lookup").id == "bench:l"


def test_reclaim_takes_back_what_an_earlier_boot_of_this_owner_held(
    queue: Queue, store: Redis
) -> None:
    held(queue, "bench:mine", owner="h/w", boot="old")
    held(queue, "bench:now", owner="h/w", boot="new")
    held(queue, "bench:other", owner="h/x", boot="old")
    store.delete(KEYS.wake("lookup"))
    before = dump(store)
    assert queue.reclaim("lookup", "h/w", "new", 5, ["bench:now"]) == 1
    assert changes(before, dump(store)) == {
        "event:bench:mine": {"state": "ready", "crashes": "1"},
        "locks:lookup": {"bench:mine": None},
        "ready:lookup:bench": ["bench:mine"],
        "turn:lookup": ["bench"],
        "wake:lookup": ["1"],
        "stats": {"crashed": 1},
    }
    before = dump(store)
    assert queue.reclaim("lookup", "h/w", "new", 5, ["bench:now"]) == 0
    assert changes(before, dump(store)) == {}


def test_a_reserve_whose_reply_was_lost_is_reclaimed_and_is_no_crash(
    queue: Queue, store: Redis
) -> None:
    event = held(queue, "bench:held")
    held(queue, "bench:lost")
    store.delete(KEYS.wake("lookup"))
    before = dump(store)
    assert queue.reclaim("lookup", "host/w", "b1", 5, [event.id]) == 1
    assert changes(before, dump(store)) == {
        "event:bench:lost": {"state": "ready"},
        "locks:lookup": {"bench:lost": None},
        "ready:lookup:bench": ["bench:lost"],
        "turn:lookup": ["bench"],
        "wake:lookup": ["1"],
    }
    queue.done(event, "recorded")


def test_an_id_that_the_caller_holds_is_still_reclaimed_from_an_older_boot(queue: Queue) -> None:
    held(queue, boot="old")
    assert queue.reclaim("lookup", "host/w", "new", 5, [ID]) == 1
    assert take_one(queue).crashes == 1


def test_reclaim_ignores_a_lock_of_an_event_that_is_not_locked(
    bare_queue: Queue, store: Redis
) -> None:
    bare_queue.retry(held(bare_queue), 60, "timeout")
    store.zadd(KEYS.locks("lookup"), {ID: 1})  # manual corruption
    before = dump(store)
    assert bare_queue.reclaim("lookup", "host/w", "b2", 5) == 0
    assert changes(before, dump(store)) == {}


def test_reclaim_concerns_one_lane(queue: Queue, store: Redis) -> None:
    held_for_routing(queue, owner="h/w", boot="old")
    before = dump(store)
    assert queue.reclaim("lookup", "h/w", "new", 5) == 0
    assert changes(before, dump(store)) == {}
    assert queue.reclaim("routing", "h/w", "new", 5) == 1


def test_from_the_second_crash_on_an_event_waits_in_the_quarantine(
    queue: Queue, store: Redis
) -> None:
    accept(queue)
    crash(queue, store, 1)
    assert store.lrange(KEYS.ready("lookup", "bench"), 0, -1) == [ID]
    crash(queue, store, 1)
    assert store.lrange(KEYS.ready("lookup", "!suspects"), 0, -1) == [ID]
    assert not store.exists(KEYS.ready("lookup", "bench"))
    assert take_one(queue).source == "bench"


def test_quarantined_events_are_taken_one_at_a_time_together_with_others(
    queue: Queue, store: Redis
) -> None:
    accept(queue, "bench:s1")
    accept(queue, "bench:s2")
    for _ in range(2):
        expire(store, *(event.id for event in take(queue, 2)))
        promote(queue)
    for i in range(3):
        accept(queue, f"bench:{i}")
    assert [e.id for e in take(queue, 9)] == ["bench:s2", "bench:0", "bench:1", "bench:2"]
    accept(queue, "bench:3")
    assert [e.id for e in take(queue, 9, quarantined=0)] == ["bench:3"]
    assert [e.id for e in take(queue, 9, quarantined=1)] == ["bench:s1"]


def test_a_holder_of_a_quarantined_event_gets_no_other_and_wakes_no_process(
    queue: Queue, store: Redis
) -> None:
    accept(queue)
    crash(queue, store, 2)
    store.delete(KEYS.wake("lookup"))
    before = dump(store)
    assert take(queue, 4, quarantined=0) == []
    assert changes(before, dump(store)) == {}


def test_the_quarantine_is_served_although_another_process_may_not_take_from_it(
    queue: Queue, store: Redis
) -> None:
    accept(queue, "bad:1")
    crash(queue, store, 2, "bad:1")
    for i in range(20):
        accept(queue, f"a:{i}")
        accept(queue, f"b:{i}")
    free = []
    for _ in range(6):  # one process holds a quarantined event, the other may take one
        take_one(queue, quarantined=0)
        free.append(take_one(queue, quarantined=1).id)
    assert "bad:1" in free


def test_the_quarantine_is_served_once_per_round(queue: Queue, store: Redis) -> None:
    accept(queue, "bad:1")
    accept(queue, "bad:2")
    for _ in range(2):
        expire(store, *(event.id for event in take(queue, 2)))
        promote(queue)
    for i in range(3):
        accept(queue, f"a:{i}")
        accept(queue, f"b:{i}")
    assert [e.id for e in take(queue, 4)] == ["bad:2", "a:0", "b:0", "a:1"]
    assert [e.id for e in take(queue, 2)] == ["b:1", "bad:1"]


def test_an_event_that_crashes_its_holders_is_dead_lettered_as_poison(
    queue: Queue, store: Redis
) -> None:
    accept(queue)
    crash(queue, store, 4)
    take_one(queue)
    expire(store, ID)
    store.delete(KEYS.wake("lookup"))
    before = dump(store)
    promote(queue, max_crashes=5)
    assert changes(before, dump(store)) == {
        "stats": {
            "crashed": 1,
            "buried": 1,
            "buried:poison": 1,
            "backlog": -1,
            "backlog_bytes": -7,
        },
        "event:bench:1": {"state": "dead", "reason": "poison", "crashes": "5"},
        "locks:lookup": None,
        "dead": {ID: now()},
    }


def test_reclaim_dead_letters_poison_too(queue: Queue, store: Redis) -> None:
    held(queue, boot="old")
    assert queue.reclaim("lookup", "host/w", "new", 1) == 1
    assert store.hmget(KEYS.event(ID), "state", "reason") == ["dead", "poison"]


def test_the_routing_lane_starts_with_no_crashes(queue: Queue, store: Redis) -> None:
    accept(queue)
    crash(queue, store, 3)
    queue.forward(take_one(queue))
    assert take_one(queue, lane="routing").crashes == 0


def test_a_quarantined_event_stays_quarantined_after_retry_and_defer(
    queue: Queue, store: Redis
) -> None:
    accept(queue)
    crash(queue, store, 2)
    queue.retry(take_one(queue), 0, "timeout")
    promote(queue)
    assert take(queue, 1, quarantined=0) == []
    queue.defer(take_one(queue), 0, "process_stopped")
    assert take(queue, 1, quarantined=0) == []
    assert take_one(queue).id == ID
