"""The routing breaker: opens at a share of failures, probes, and closes by a ramp."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from scheduler.breaker import Breaker, BreakerPolicy, Permits
from scheduler.connection import RedisConnection
from tests.support.servers import RedisServer
from tests.support.store_snapshot import changes, dump, now

KEY, PROBES = "{gw:0}:breaker", "{gw:0}:probes"
CLOSED = Permits("closed", 0)


@pytest.fixture
def breaker(store: Redis, redis_server: RedisServer) -> Iterator[Breaker]:
    connection = RedisConnection(redis_server.url)
    yield Breaker(
        connection,
        BreakerPolicy(min_calls=20, ratio=0.6, first_pause_seconds=5, longest_pause_seconds=60),
    )
    connection.close()


def _ask(breaker: Breaker, wanted: int, holder: str = "h", lifetime_seconds: float = 30) -> Permits:
    return breaker.ask(wanted, lifetime_seconds=lifetime_seconds, holder=holder)


def _pause_is_over(store: Redis) -> None:
    store.hset(KEY, "until", 1)


def _half_open(breaker: Breaker, store: Redis) -> None:
    breaker.report(0, 20)
    _pause_is_over(store)


def _succeed(breaker: Breaker, times: int) -> Permits:
    """Good probes, one after the other."""
    reply = CLOSED
    for _ in range(times):
        [permit] = _ask(breaker, 1).permits
        reply = breaker.report(0, 0, [(permit, "good")])
    return reply


def test_while_it_is_closed_no_permit_is_needed(breaker: Breaker, store: Redis) -> None:
    assert _ask(breaker, 5) == CLOSED
    assert dump(store) == {}


def test_too_few_calls_do_not_open_it(breaker: Breaker) -> None:
    assert breaker.report(0, 19) == CLOSED


def test_a_smaller_share_of_failures_does_not_open_it(breaker: Breaker) -> None:
    assert breaker.report(41, 59) == CLOSED


def test_it_opens_at_the_share_and_the_number_of_calls(breaker: Breaker, store: Redis) -> None:
    assert breaker.report(8, 11) == CLOSED
    reply = breaker.report(0, 1)
    assert reply.state == "open"
    assert reply.wait_seconds == pytest.approx(5, abs=0.1)
    assert dump(store) == {
        "breaker": {"state": "open", "until": now(5), "pause": "5000", "opened_at": now()}
    }


def test_reports_of_several_processes_add_up(breaker: Breaker, redis_server: RedisServer) -> None:
    other = Breaker(RedisConnection(redis_server.url), BreakerPolicy())
    assert breaker.report(0, 10) == CLOSED
    assert other.report(0, 10).state == "open"
    assert breaker.report(0, 0).state == "open"


@pytest.mark.parametrize(("age", "state"), [(5, "open"), (12, "closed"), (20, "closed")])
def test_calls_of_the_last_ten_seconds_count_and_older_ones_do_not(
    breaker: Breaker, store: Redis, age: int, state: str
) -> None:
    second = store.time()[0] - age
    slot = second % 10
    store.hset(KEY, mapping={f"at:{slot}": second, f"ok:{slot}": 0, f"failed:{slot}": 19})
    assert breaker.report(0, 1).state == state


def test_while_it_is_open_no_permit_is_given_and_the_wait_is_returned(
    breaker: Breaker, store: Redis
) -> None:
    breaker.report(0, 20)
    before = dump(store)
    reply = _ask(breaker, 5)
    assert (reply.state, reply.permits) == ("open", ())
    assert reply.wait_seconds == pytest.approx(5, abs=0.1)
    assert changes(before, dump(store)) == {}


def test_calls_that_were_under_way_when_it_opened_change_nothing(
    breaker: Breaker, store: Redis
) -> None:
    breaker.report(0, 20)
    before = dump(store)
    assert breaker.report(50, 50).state == "open"
    assert changes(before, dump(store)) == {}


def test_after_the_pause_one_probe_is_allowed(breaker: Breaker, store: Redis) -> None:
    _half_open(breaker, store)
    first = _ask(breaker, 5, lifetime_seconds=30)
    assert (first.state, len(first.permits)) == ("half_open", 1)
    assert dump(store)["probes"] == {first.permits[0]: now(30)}
    assert _ask(breaker, 5, holder="other").permits == ()


def test_each_good_probe_allows_more_at_once(breaker: Breaker, store: Redis) -> None:
    _half_open(breaker, store)
    allowed = []
    for _ in range(4):
        permits = _ask(breaker, 100).permits
        allowed.append(len(permits))
        verdicts = [(permits[0], "good"), *((p, "unused") for p in permits[1:])]
        breaker.report(0, 0, verdicts)  # type: ignore[arg-type]
    assert allowed == [1, 4, 8, 12]


def test_permits_are_unique(breaker: Breaker, store: Redis) -> None:
    _half_open(breaker, store)
    _succeed(breaker, 3)
    permits = _ask(breaker, 4, "a").permits + _ask(breaker, 4, "b").permits
    assert len(set(permits)) == 8


def test_an_unused_permit_is_free_at_once(breaker: Breaker, store: Redis) -> None:
    _half_open(breaker, store)
    [permit] = _ask(breaker, 1).permits
    assert breaker.report(0, 0, [(permit, "unused")]) == Permits("half_open", 0)
    assert len(_ask(breaker, 1).permits) == 1


def test_a_permit_whose_holder_crashed_expires(breaker: Breaker, store: Redis) -> None:
    _half_open(breaker, store)
    [lost] = _ask(breaker, 1).permits
    assert _ask(breaker, 1).permits == ()
    store.zadd(PROBES, {lost: 1})
    assert len(_ask(breaker, 1).permits) == 1
    assert breaker.report(0, 0, [(lost, "bad")]).state == "half_open"


def test_a_permit_of_an_earlier_half_open_period_does_not_count(
    breaker: Breaker, store: Redis
) -> None:
    _half_open(breaker, store)
    [old] = _ask(breaker, 1).permits
    store.delete(PROBES)
    assert breaker.report(0, 0, [(old, "bad")]) == Permits("half_open", 0)


def test_a_probe_counts_once(breaker: Breaker, store: Redis) -> None:
    _half_open(breaker, store)
    [permit] = _ask(breaker, 1).permits
    breaker.report(0, 0, [(permit, "good"), (permit, "good")])
    breaker.report(0, 0, [(permit, "good")])
    assert store.hget(KEY, "good") == "1"


def test_while_it_is_half_open_calls_without_a_permit_do_not_count(
    breaker: Breaker, store: Redis
) -> None:
    _half_open(breaker, store)
    _ask(breaker, 0)
    before = dump(store)
    assert breaker.report(100, 100) == Permits("half_open", 0)
    assert changes(before, dump(store)) == {}


def test_failed_probes_open_it_again_for_twice_as_long_up_to_the_longest(
    breaker: Breaker, store: Redis
) -> None:
    breaker.report(0, 20)
    pauses = []
    for _ in range(6):
        _pause_is_over(store)
        [permit] = _ask(breaker, 1).permits
        reply = breaker.report(0, 0, [(permit, "bad")])
        assert reply.state == "open"
        pauses.append(round(reply.wait_seconds))
    assert pauses == [10, 20, 40, 60, 60, 60]
    assert not store.exists(PROBES)


def test_a_single_failure_among_good_probes_does_not_open_it(
    breaker: Breaker, store: Redis
) -> None:
    _half_open(breaker, store)
    _succeed(breaker, 2)
    permits = _ask(breaker, 3).permits
    assert breaker.report(0, 0, [(permits[0], "bad")]).state == "half_open"
    assert breaker.report(0, 0, [(permits[1], "bad")]).state == "half_open"
    assert breaker.report(0, 0, [(permits[2], "bad")]).state == "open"


def test_ten_good_probes_close_it_and_delete_its_state(breaker: Breaker, store: Redis) -> None:
    _half_open(breaker, store)
    assert _succeed(breaker, 9) == Permits("half_open", 0)
    assert _succeed(breaker, 1) == CLOSED
    assert dump(store) == {}
    breaker.report(0, 20)
    assert store.hget(KEY, "pause") == "5000"
