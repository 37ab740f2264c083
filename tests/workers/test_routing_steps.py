"""Breaker and limit around the call: the shared breaker in a real Redis, the simulated service."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pymongo.database import Database
from redis import Redis

from scheduler.breaker import Breaker, BreakerPolicy
from scheduler.connection import RedisConnection
from scheduler.errors import RedisUnavailable
from tests.support.crashing_holder import lookup_lane, routing_lane
from tests.support.samples import reserved
from tests.support.servers import RedisServer, await_true
from tests.support.simulator import Simulator
from workers.breaker_gate import BreakerGate, BreakerOpen
from workers.concurrency_limit import ConcurrencyLimit
from workers.errors import Permanent, Transient
from workers.jobs import Job
from workers.lane import RoutingSteps
from workers.results import Done
from workers.routing_client import RoutingClient

Document = dict[str, Any]
POLICY = BreakerPolicy(min_calls=4, ratio=0.5, first_pause_seconds=0.2, longest_pause_seconds=0.2)


def gate(server: RedisServer, holder: str = "w1", policy: BreakerPolicy = POLICY) -> BreakerGate:
    return BreakerGate(Breaker(RedisConnection(server.url), policy), holder, permit_life=30)


def job(id: str = "bench:evt_1", permit: str | None = None) -> Job:
    event = reserved(id, lane="routing", fence=int(time.time() * 1e6))
    return Job(event, time.monotonic(), permit, probe=permit is not None)


def trip(one: BreakerGate) -> None:
    for _ in range(POLICY.min_calls):
        one.report(job(), good=False)
    assert one.permits(1) == []


def once_half_open(one: BreakerGate, wanted: int) -> list[str | None]:
    """The first permits there are."""
    found: list[str | None] = []

    def ask() -> bool:
        found[:] = one.permits(wanted)
        return bool(found)

    await_true(ask)
    return found


@pytest.fixture
def steps(
    store: Redis, redis_server: RedisServer, database: Database[Document], simulator: Simulator
) -> RoutingSteps:
    """The routing lane of one process, with bench:evt_1 forwarded to it."""
    lookup_lane(database).handle(reserved())
    return RoutingSteps(
        routing_lane(database),
        RoutingClient(simulator.url, 5, 4),
        gate(redis_server),
        ConcurrencyLimit(4),
    )


def test_while_it_is_closed_everybody_may_and_redis_is_not_asked() -> None:
    nowhere = BreakerGate(Breaker(RedisConnection("unix:///nowhere.sock"), POLICY), "w1", 30)
    assert nowhere.permits(3) == [None, None, None]
    nowhere.check(job())


def test_what_one_process_sees_closes_the_gate_of_the_others(
    store: Redis, redis_server: RedisServer
) -> None:
    one, other = gate(redis_server), gate(redis_server, "w2")
    trip(one)
    with pytest.raises(BreakerOpen):
        one.check(job())
    other.check(job())  # it has not heard yet
    other.refresh()
    with pytest.raises(BreakerOpen) as refused:
        other.check(job())
    assert 0 < refused.value.wait <= POLICY.first_pause_seconds


def test_half_open_it_lets_one_probe_through_and_closes_after_enough_good_ones(
    store: Redis, redis_server: RedisServer
) -> None:
    one, other = gate(redis_server), gate(redis_server, "w2")
    trip(one)
    found = once_half_open(one, 5)
    assert len(found) == 1
    assert found[0] is not None
    other.refresh()
    assert other.permits(5) == []
    with pytest.raises(BreakerOpen):
        other.check(job())
    probe = job(permit=found[0])
    one.check(probe)
    one.report(probe, good=True)
    assert probe.permit is None
    for _ in range(20):
        for permit in one.permits(2):
            one.report(job(permit=permit), good=True)
    assert one.permits(7) == [None] * 7


def test_a_probe_that_fails_opens_it_again(store: Redis, redis_server: RedisServer) -> None:
    one = gate(redis_server)
    trip(one)
    (permit,) = once_half_open(one, 1)
    one.report(job(permit=permit), good=False)
    assert one.wait > 0
    assert store.hget("{gw:0}:breaker", "state") == "open"


def test_a_permit_that_is_given_back_is_somebody_else_s(
    store: Redis, redis_server: RedisServer
) -> None:
    one, other = gate(redis_server), gate(redis_server, "w2")
    trip(one)
    found = once_half_open(one, 1)
    other.refresh()
    assert other.permits(1) == []
    one.give_back([permit for permit in found if permit])
    assert len(other.permits(1)) == 1


def test_a_report_that_redis_does_not_take_is_lost_and_the_next_ones_cost_no_time() -> None:
    asked: list[int] = []

    class Hanging:
        def report(self, good: int, bad: int, permits: object) -> None:
            asked.append(1)
            raise RedisUnavailable("TimeoutError")

    hanging: Any = Hanging()
    muted = BreakerGate(hanging, "w1", 30)
    for _ in range(64):
        muted.report(job(), good=True)
    assert len(asked) == 1
    muted.give_back(["p1"])  # a permit is worth the try: others wait for it
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("behaviour", "error", "good", "resting"),
    [
        ({}, None, 1, 0),
        ({"fail_ratio": 1, "fail_status": 400}, Permanent, 1, 0),
        ({"fail_ratio": 1, "fail_status": 500}, Transient, 0, 0),
        ({"fail_ratio": 1, "fail_status": 429}, Transient, 0, 1),
        ({"reset_ratio": 1}, Transient, 0, 0),
        ({"outage": True}, Transient, 0, 1),
    ],
)
def test_the_breaker_hears_how_the_service_is_and_the_limit_whether_it_is_too_much(
    steps: RoutingSteps,
    store: Redis,
    simulator: Simulator,
    behaviour: Document,
    error: type[Exception] | None,
    good: int,
    resting: int,
) -> None:
    simulator.behave(**behaviour)
    if error is None:
        assert steps.handle(job()) == Done("routed")
    else:
        with pytest.raises(error):
            steps.handle(job())
    heard: Any = store.hgetall("{gw:0}:breaker")
    assert sum(int(n) for name, n in heard.items() if name.startswith("ok:")) == good
    assert sum(int(n) for name, n in heard.items() if name.startswith("failed:")) == 1 - good
    assert steps.allowed() == 4 - resting


def test_an_event_reserved_before_it_opened_makes_no_call(
    steps: RoutingSteps, redis_server: RedisServer, simulator: Simulator
) -> None:
    trip(gate(redis_server))
    steps.refresh()
    with pytest.raises(BreakerOpen):
        steps.handle(job())
    assert simulator.stats()["calls"] == 0
    assert steps.pause() > 0
