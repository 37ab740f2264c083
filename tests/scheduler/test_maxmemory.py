"""At maxmemory only accept is refused, before its first effect; a full queue can be drained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from redis import Redis

from scheduler.accept_command import Caps
from scheduler.breaker import Breaker, BreakerPolicy
from scheduler.errors import NotHolder, RedisUnavailable
from scheduler.queue import Queue
from scheduler.scripts import FOLDER
from tests.support.queue_moves import (
    ID,
    accept,
    dead_lettered,
    expire,
    held,
    held_for_routing,
    make_due,
    promote,
    take,
    take_one,
)
from tests.support.store_snapshot import changes, dump


@pytest.fixture
def fill(store: Redis) -> Iterator[Callable[[], None]]:
    """Call it to put Redis at maxmemory."""

    def act() -> None:
        store.config_set("maxmemory", 1)

    yield act
    store.config_set("maxmemory", 0)


def test_accept_is_refused_before_its_first_effect(
    queue: Queue, store: Redis, fill: Callable[[], None]
) -> None:
    accept(queue, "bench:first")  # loads the script
    before = dump(store)
    fill()
    with pytest.raises(RedisUnavailable, match=r"^OOM$"):
        accept(queue, quota=(5, 5))
    assert changes(before, dump(store)) == {}


def test_a_known_event_is_still_a_duplicate(
    queue: Queue, store: Redis, fill: Callable[[], None]
) -> None:
    accept(queue)
    fill()
    assert accept(queue).code == "duplicate"
    assert accept(queue, digest="d2").code == "conflicting"


def test_an_event_over_a_cap_or_quota_still_gets_that_code(
    queue: Queue, store: Redis, fill: Callable[[], None]
) -> None:
    quota = (0.1, 1.0)
    accept(queue, quota=quota)
    fill()
    assert accept(queue, "bench:2", caps=Caps(1, 10**6, 9)).code == "full"
    assert accept(queue, "bench:2", quota=quota).code == "limited"


Case = tuple[Callable[[], object], object]  # a call, and what it must return


def _reserve(queue: Queue, store: Redis) -> Case:
    accept(queue)
    return lambda: len(take(queue)), 1


def _extend(queue: Queue, store: Redis) -> Case:
    event = held(queue)
    return lambda: queue.extend("lookup", [(event.id, event.gen)], 60), []


def _forward(queue: Queue, store: Redis) -> Case:
    event = held(queue)
    return partial(queue.forward, event), None


def _done(queue: Queue, store: Redis) -> Case:
    event = held_for_routing(queue)
    return partial(queue.done, event, "routed"), None


def _retry(queue: Queue, store: Redis) -> Case:
    event = held(queue)
    return partial(queue.retry, event, 1, "x" * 160), None


def _defer(queue: Queue, store: Redis) -> Case:
    event = held(queue)
    return partial(queue.defer, event, 1, "mongo_away", fence=9, route=b"r" * 5000), None


def _bury(queue: Queue, store: Redis) -> Case:
    event = held(queue)
    return partial(queue.bury, event, "permanent", "no", attempts=1), None


def _stale_done(queue: Queue, store: Redis) -> Case:
    event = held(queue)
    queue.done(event, "recorded")

    def refused() -> None:
        with pytest.raises(NotHolder):
            queue.done(event, "recorded")

    return refused, None


def _promote_retry(queue: Queue, store: Redis) -> Case:
    queue.retry(held(queue), 60, "timeout")
    make_due(store, ID)
    return lambda: promote(queue).promoted, 1


def _promote_lock(queue: Queue, store: Redis) -> Case:
    held(queue)
    expire(store, ID)
    return lambda: promote(queue).expired, 1


def _promote_tombstone(queue: Queue, store: Redis) -> Case:
    queue.done(held(queue), "recorded")
    return lambda: promote(queue, tombstones_max=0).trimmed, 1


def _reclaim(queue: Queue, store: Redis) -> Case:
    held(queue)
    return lambda: queue.reclaim("lookup", "host/w", "b2", 5), 1


def _replay(queue: Queue, store: Redis) -> Case:
    dead_lettered(queue)
    return lambda: queue.replay(ID), "replayed"


def _drop(queue: Queue, store: Redis) -> Case:
    dead_lettered(queue)
    return lambda: queue.drop(ID), "dropped"


def _alive(queue: Queue, store: Redis) -> Case:
    return partial(queue.alive, "host/w", {"pid": 1, "busy": 2}, 5), None


def _breaker_report(queue: Queue, store: Redis) -> Case:
    breaker = Breaker(queue.connection, BreakerPolicy(min_calls=2))
    return lambda: breaker.report(0, 5).state, "open"


def _breaker_permit(queue: Queue, store: Redis) -> Case:
    breaker = Breaker(queue.connection, BreakerPolicy(min_calls=2, first_pause_seconds=0))
    breaker.report(0, 5)
    return lambda: len(breaker.ask(1, lifetime_seconds=5, holder="h").permits), 1


CASES = [
    _reserve,
    _extend,
    _forward,
    _done,
    _retry,
    _defer,
    _bury,
    _stale_done,
    _promote_retry,
    _promote_lock,
    _promote_tombstone,
    _reclaim,
    _replay,
    _drop,
    _alive,
    _breaker_report,
    _breaker_permit,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.strip("_"))
def test_every_other_verb_works(
    queue: Queue,
    store: Redis,
    fill: Callable[[], None],
    case: Callable[[Queue, Redis], Case],
) -> None:
    call, result = case(queue, store)
    store.script_flush()  # it must be possible to load the script, too
    fill()
    assert call() == result


def test_every_script_that_writes_is_tested_here() -> None:
    verbs = {path.stem for path in FOLDER.glob("*.lua")} - {"accept", "books"}
    names = [case.__name__.strip("_") for case in CASES]
    assert all(any(name.startswith(verb) for name in names) for verb in verbs), verbs


def test_a_full_queue_can_be_drained_to_the_last_event(
    queue: Queue, store: Redis, fill: Callable[[], None]
) -> None:
    for n in range(30):
        accept(queue, f"bench:{n}", body=b"x" * 1000)
    fill()
    for event in take(queue, 30):
        queue.forward(event)
    while events := take(queue, 4, lane="routing"):
        for event in events:
            if event.attempts:
                queue.done(event, "routed")
            else:
                queue.retry(event, 0, "timeout")
        promote(queue)
    assert store.hmget("{gw:0}:stats", "done", "backlog", "backlog_bytes") == ["30", "0", "0"]
    with pytest.raises(RedisUnavailable, match="OOM"):
        accept(queue, "bench:new")
    store.config_set("maxmemory", 0)
    assert accept(queue, "bench:new").code == "accepted"
    assert take_one(queue).id == "bench:new"
