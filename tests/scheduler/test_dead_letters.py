"""replay and drop: what an operator may do with a dead letter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis

from scheduler.queue import Queue
from tests.support.queue_moves import (
    ID,
    KEYS,
    accept,
    crash,
    dead_lettered,
    held,
    held_for_routing,
    make_due,
    promote,
    take_one,
)
from tests.support.store_snapshot import changes, dump, now

VERBS: dict[str, Callable[[Queue, str], str]] = {
    "replay": lambda queue, id: queue.replay(id),
    "drop": lambda queue, id: queue.drop(id),
}


def test_a_replayed_event_starts_again_in_the_lookup_lane_and_keeps_its_history(
    queue: Queue, store: Redis
) -> None:
    queue.retry(held_for_routing(queue), 0, "status 503")
    promote(queue)
    queue.bury(take_one(queue, lane="routing"), "attempts_exhausted", "status 500", attempts=1)
    store.hset(KEYS.event(ID), mapping={"live_since": 1, "received_at": 1})
    before = dump(store)
    assert queue.replay(ID) == "replayed"
    after = dump(store)
    assert changes(before, after) == {
        "event:bench:1": {
            "state": "ready",
            "lane": "lookup",
            "attempts": "0",
            "live_since": now(),
            "replays": "1",
        },
        "dead": None,
        "ready:lookup:bench": [ID],
        "turn:lookup": ["bench"],
        "stats": {"replayed": 1, "backlog": 1, "backlog_bytes": 7},
    } | (
        {}
        if len(before["wake:lookup"]) == len(after["wake:lookup"])
        else {"wake:lookup": ["1"] * (len(before["wake:lookup"]) + 1)}
    )
    event = take_one(queue)
    assert (event.attempts, event.crashes, event.body) == (0, 0, b'{"n":1}')
    assert store.hmget(KEYS.event(ID), "reason", "last_error", "received_at") == [
        "attempts_exhausted",
        "status 500",
        "1",
    ]


def test_a_replayed_event_outranks_its_former_holder(queue: Queue) -> None:
    former = dead_lettered(queue)
    queue.replay(ID)
    assert take_one(queue).fence > former.fence


def test_replayed_poison_is_not_quarantined(queue: Queue, store: Redis) -> None:
    accept(queue)
    crash(queue, store, 5)
    assert store.hget(KEYS.event(ID), "reason") == "poison"
    assert queue.replay(ID) == "replayed"
    assert store.lrange(KEYS.ready("lookup", "bench"), 0, -1) == [ID]
    assert take_one(queue, quarantined=0).crashes == 0


def test_a_replayed_event_has_no_deferrals(queue: Queue, store: Redis) -> None:
    queue.defer(held(queue), 60, "unknown_shipment")
    make_due(store, ID)
    promote(queue)
    queue.bury(take_one(queue), "unknown_shipment")
    assert store.hget(KEYS.event(ID), "waits") == "1"
    queue.replay(ID)
    assert take_one(queue).waits == 0


def test_replays_are_counted(queue: Queue, store: Redis) -> None:
    dead_lettered(queue)
    for count in ("1", "2"):
        queue.replay(ID)
        assert store.hget(KEYS.event(ID), "replays") == count
        queue.bury(take_one(queue), "permanent")


def test_a_dropped_event_leaves_a_tombstone(queue: Queue, store: Redis) -> None:
    dead_lettered(queue)
    before = dump(store)
    assert queue.drop(ID) == "dropped"
    after = dump(store)
    assert after["event:bench:1"] == {"state": "dropped", "digest": "d1", "reason": "permanent"}
    changed = changes(before, after)
    del changed["event:bench:1"]
    assert changed == {
        "body:bench:1": None,
        "dead": None,
        "done": {ID: now()},
        "stats": {"dropped": 1},
    }


def test_a_dropped_event_cannot_be_replayed(queue: Queue, store: Redis) -> None:
    dead_lettered(queue)
    queue.drop(ID)
    before = dump(store)
    assert queue.replay(ID) == "dropped already"
    assert queue.drop(ID) == "dropped already"
    assert changes(before, dump(store)) == {}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", ["", "ready", "locked", "retry", "done"])
def test_replay_and_drop_return_the_state_of_an_event_that_is_not_dead_and_do_nothing(
    queue: Queue, store: Redis, state: str, verb: str
) -> None:
    if state == "ready":
        accept(queue)
    elif state:
        event = held(queue)
        if state == "retry":
            queue.retry(event, 60, "timeout")
        if state == "done":
            queue.done(event, "recorded")
    before = dump(store)
    assert VERBS[verb](queue, ID) == state
    assert changes(before, dump(store)) == {}


@pytest.mark.parametrize("verb", VERBS)
def test_an_event_is_dead_only_by_its_state_and_the_set(
    bare_queue: Queue, store: Redis, verb: str
) -> None:
    dead_lettered(bare_queue, "bench:dead")
    accept(bare_queue, "bench:ready")
    store.zrem(KEYS.dead, "bench:dead")
    store.zadd(KEYS.dead, {"bench:ready": 1})  # manual corruption
    before = dump(store)
    assert VERBS[verb](bare_queue, "bench:ready") == "ready"
    assert VERBS[verb](bare_queue, "bench:dead") == "dead"
    assert changes(before, dump(store)) == {}


def test_a_repeated_replay_has_no_effect(queue: Queue, store: Redis) -> None:
    dead_lettered(queue)
    queue.replay(ID)
    before = dump(store)
    assert queue.replay(ID) == "ready"
    assert changes(before, dump(store)) == {}


def test_without_its_body_an_event_cannot_be_replayed_but_dropped(
    bare_queue: Queue, store: Redis
) -> None:
    dead_lettered(bare_queue)
    store.delete(KEYS.body(ID))
    before = dump(store)
    assert bare_queue.replay(ID) == "no_body"
    assert changes(before, dump(store)) == {}
    assert bare_queue.drop(ID) == "dropped"


def test_a_dead_letter_with_a_damaged_hash_can_be_dropped(bare_queue: Queue, store: Redis) -> None:
    dead_lettered(bare_queue)
    store.hdel(KEYS.event(ID), "digest", "reason")
    assert bare_queue.drop(ID) == "dropped"
    assert store.hgetall(KEYS.event(ID)) == {"state": "dropped", "digest": "", "reason": ""}
