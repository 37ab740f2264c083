"""accept: an event is made durable once, or refused before anything is written."""

from __future__ import annotations

import pytest
from redis import Redis

from scheduler.accept_command import Caps
from scheduler.events import Acceptance
from scheduler.queue import Queue
from tests.support.queue_moves import CAPS, ID, KEYS, accept, dead_lettered, held, take
from tests.support.store_snapshot import changes, dump, now


def test_a_first_event_writes_body_hash_ready_list_round_robin_counters_and_a_token(
    queue: Queue, store: Redis
) -> None:
    assert accept(queue, body=b'{"n":1}', secret_label="KEY_A") == Acceptance("accepted", 1, 0)
    assert dump(store) == {
        "body:bench:1": b'{"n":1}',
        "event:bench:1": {
            "state": "ready",
            "lane": "lookup",
            "source": "bench",
            "received_at": now(),
            "live_since": now(),
            "attempts": "0",
            "crashes": "0",
            "digest": "d1",
        },
        "ready:lookup:bench": ["bench:1"],
        "turn:lookup": ["bench"],
        "wake:lookup": ["1"],
        "stats": {
            "accepted": "1",
            "backlog": "1",
            "backlog_bytes": "7",
            "secret:bench:KEY_A": "1",
            "seen:bench:KEY_A": now(),
        },
    }


def test_a_body_is_stored_byte_for_byte(queue: Queue) -> None:
    body = bytes(range(256)) + b"\r\n\x00"
    accept(queue, body=body)
    [event] = take(queue)
    assert event.body == body


def test_events_of_one_source_are_taken_in_the_order_they_came(queue: Queue) -> None:
    ids = [f"bench:{n}" for n in range(5)]
    for id in ids:
        accept(queue, id)
    assert [event.id for event in take(queue, 5)] == ids


def test_a_repeated_event_is_a_duplicate_and_changes_only_the_counts(
    queue: Queue, store: Redis
) -> None:
    accept(queue)
    before = dump(store)
    assert accept(queue, secret_label="KEY_B") == Acceptance("duplicate", 0, 0)
    assert changes(before, dump(store)) == {"stats": {"duplicates": 1, "secret:bench:KEY_B": 1}}


def test_a_duplicate_with_another_body_is_counted_as_conflicting(
    queue: Queue, store: Redis
) -> None:
    accept(queue)
    before = dump(store)
    assert accept(queue, body=b"{}", digest="d2").code == "conflicting"
    assert changes(before, dump(store)) == {
        "stats": {"duplicates": 1, "conflicting": 1, "secret:bench:KEY": 1}
    }


@pytest.mark.parametrize("end", ["done", "dropped", "dead", "locked", "retry"])
def test_an_event_is_a_duplicate_in_every_state(queue: Queue, store: Redis, end: str) -> None:
    if end in ("dead", "dropped"):
        dead_lettered(queue)
        if end == "dropped":
            queue.drop(ID)
    else:
        event = held(queue)
        if end == "done":
            queue.done(event, "recorded")
        if end == "retry":
            queue.retry(event, 60, "timeout")
    assert store.hget(KEYS.event(ID), "state") == end
    before = dump(store)
    assert accept(queue).code == "duplicate"
    assert accept(queue, digest="d2").code == "conflicting"
    assert changes(before, dump(store)).keys() == {"stats"}


def test_the_same_id_of_two_sources_is_two_events(queue: Queue) -> None:
    assert accept(queue, "bench:1").code == "accepted"
    assert accept(queue, "other:1").code == "accepted"


@pytest.mark.parametrize(
    "caps",
    [
        Caps(2, CAPS.max_bytes, CAPS.max_dead),
        Caps(CAPS.max_events, 20, CAPS.max_dead),
        Caps(CAPS.max_events, CAPS.max_bytes, 1),
    ],
    ids=["events", "bytes", "dead"],
)
def test_at_a_cap_an_event_is_refused_and_only_that_is_counted(
    queue: Queue, store: Redis, caps: Caps
) -> None:
    dead_lettered(queue, "bench:dead")
    accept(queue, "bench:1")
    accept(queue, "bench:2")
    before = dump(store)
    assert accept(queue, "bench:3", caps=caps) == Acceptance("full", 2, 0)
    assert changes(before, dump(store)) == {"stats": {"refused_full": 1, "secret:bench:KEY": 1}}
    assert accept(queue, "bench:2", caps=caps).code == "duplicate"


def test_an_event_that_exactly_reaches_a_cap_is_accepted(queue: Queue) -> None:
    exact = Caps(max_events=2, max_bytes=14, max_dead=1)
    assert accept(queue, "bench:1", caps=exact).code == "accepted"
    assert accept(queue, "bench:2", caps=exact).code == "accepted"
    assert accept(queue, "bench:3", caps=exact).code == "full"
    [event] = take(queue)
    queue.done(event, "recorded")
    assert accept(queue, "bench:3", caps=exact).code == "accepted"


def test_retry_after_of_a_full_backlog_is_the_time_to_drain_a_twentieth_of_it(
    queue: Queue, store: Redis
) -> None:
    for n in range(40):
        accept(queue, f"bench:{n}")
    store.hset(KEYS.stats, "drain_per_second", "8.00")
    assert accept(queue, "bench:x", caps=Caps(40, 10**6, 1)) == Acceptance("full", 40, 40 / 20 / 8)


@pytest.mark.parametrize(
    ("drain", "dead"),
    [("0.00", 0), (None, 0), ("8.00", 1)],
    ids=["nothing drains", "never measured", "the dead letters are at theirs"],
)
def test_a_full_queue_that_does_not_drain_has_no_retry_after(
    queue: Queue, store: Redis, drain: str | None, dead: int
) -> None:
    if dead:
        dead_lettered(queue, "bench:dead")
    accept(queue, "bench:1")
    if drain is not None:
        store.hset(KEYS.stats, "drain_per_second", drain)
    caps = CAPS if dead else Caps(1, 10**6, 100)
    assert accept(queue, "bench:x", caps=caps._replace(max_dead=1)) == Acceptance("full", 1, 0)


def test_a_source_over_its_quota_is_limited_and_gets_a_retry_after(
    queue: Queue, store: Redis
) -> None:
    quota = (0.5, 2)
    assert [accept(queue, f"bench:{n}", quota=quota).code for n in range(2)] == ["accepted"] * 2
    before = dump(store)
    refused = accept(queue, "bench:2", quota=quota)
    assert (refused.code, refused.backlog) == ("limited", 2)
    assert 1.5 < refused.retry_after_seconds <= 2
    assert changes(before, dump(store)) == {
        "stats": {"limited": 1, "limited:bench": 1, "secret:bench:KEY": 1}
    }
    assert accept(queue, "other:1", quota=quota).code == "accepted"
    assert accept(queue, "bench:1", quota=quota).code == "duplicate"


def test_a_quota_refills_with_time_up_to_its_burst(queue: Queue, store: Redis) -> None:
    quota = (1, 2)
    for n in range(3):
        accept(queue, f"bench:{n}", quota=quota)
    bucket = KEYS.quota("bench")
    assert float(store.hget(bucket, "tokens") or "") < 1
    store.hset(bucket, "at", int(store.hget(bucket, "at") or "") - 3_600_000)
    codes = [accept(queue, f"bench:later{n}", quota=quota).code for n in range(3)]
    assert codes == ["accepted", "accepted", "limited"]


def test_wake_tokens_are_bounded(queue: Queue, store: Redis) -> None:
    for n in range(30):
        accept(queue, f"bench:{n}")
    assert store.llen(KEYS.wake("lookup")) == 8


def test_a_source_is_in_the_round_robin_once(queue: Queue, store: Redis) -> None:
    for n in range(3):
        accept(queue, f"bench:{n}")
        accept(queue, f"other:{n}")
    assert store.lrange(KEYS.turn("lookup"), 0, -1) == ["bench", "other"]
