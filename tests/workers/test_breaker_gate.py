"""Circuit breaker and concurrency limit around the call, with a real Redis and the simulator."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pymongo.database import Database
from redis import Redis

from scheduler.breaker import Breaker, BreakerPolicy
from scheduler.connection import RedisConnection
from scheduler.errors import RedisUnavailable
from tests.support.crashing_lanes import lookup_lane
from tests.support.samples import SOURCES, reserved
from tests.support.samples import job as lookup_job
from tests.support.servers import RedisServer, await_true
from tests.support.simulator import Simulator
from workers.breaker_gate import BreakerGate, BreakerOpen
from workers.concurrency_limit import ConcurrencyLimit
from workers.errors import Permanent, Transient
from workers.jobs import Job
from workers.ledger import Ledger
from workers.results import Done
from workers.routing_client import RoutingClient
from workers.routing_lane import RoutingLane
from workers.shipments import Shipments

Document = dict[str, Any]
POLICY = BreakerPolicy(min_calls=4, ratio=0.5, first_pause_seconds=0.2, longest_pause_seconds=0.2)


def gate(server: RedisServer, holder: str = "w1", policy: BreakerPolicy = POLICY) -> BreakerGate:
    return BreakerGate(Breaker(RedisConnection(server.url), policy), holder, permit_seconds=30)


def job(id: str = "bench:evt_1", permit: str | None = None) -> Job:
    event = reserved(id, lane="routing", fence=int(time.time() * 1e6))
    return Job(event, time.monotonic(), permit, probe=permit is not None)


def open_breaker(one: BreakerGate) -> None:
    for _ in range(POLICY.min_calls):
        one.report(job(), good=False)
    assert one.permits(1) == []


def await_permits(one: BreakerGate, wanted: int) -> list[str | None]:
    """The first permits of the half-open breaker."""
    found: list[str | None] = []

    def ask() -> bool:
        found[:] = one.permits(wanted)
        return bool(found)

    await_true(ask)
    return found


@pytest.fixture
def lane(
    store: Redis, redis_server: RedisServer, database: Database[Document], simulator: Simulator
) -> RoutingLane:
    """The routing lane of one process, after bench:evt_1 was forwarded to it."""
    lookup_lane(database).handle(lookup_job())
    return RoutingLane(
        SOURCES,
        Shipments(database),
        Ledger(database),
        RoutingClient(simulator.url, 5, 4),
        gate(redis_server),
        ConcurrencyLimit(4),
    )


def test_a_closed_breaker_needs_no_permits_and_no_redis() -> None:
    nowhere = BreakerGate(Breaker(RedisConnection("unix:///nowhere.sock"), POLICY), "w1", 30)
    assert nowhere.permits(3) == [None, None, None]
    nowhere.check(job())


def test_a_breaker_that_one_process_opened_is_open_for_the_others_after_a_refresh(
    store: Redis, redis_server: RedisServer
) -> None:
    one, other = gate(redis_server), gate(redis_server, "w2")
    open_breaker(one)
    with pytest.raises(BreakerOpen):
        one.check(job())
    other.check(job())  # its view is still the old one
    other.refresh()
    with pytest.raises(BreakerOpen) as refused:
        other.check(job())
    assert 0 < refused.value.wait_seconds <= POLICY.first_pause_seconds


def test_a_half_open_breaker_allows_one_probe_and_closes_after_enough_good_ones(
    store: Redis, redis_server: RedisServer
) -> None:
    one, other = gate(redis_server), gate(redis_server, "w2")
    open_breaker(one)
    found = await_permits(one, 5)
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


def test_a_failed_probe_opens_the_breaker_again(store: Redis, redis_server: RedisServer) -> None:
    one = gate(redis_server)
    open_breaker(one)
    (permit,) = await_permits(one, 1)
    one.report(job(permit=permit), good=False)
    assert one.wait_seconds > 0
    assert store.hget("{gw:0}:breaker", "state") == "open"


def test_a_permit_that_was_given_back_goes_to_another_process(
    store: Redis, redis_server: RedisServer
) -> None:
    one, other = gate(redis_server), gate(redis_server, "w2")
    open_breaker(one)
    found = await_permits(one, 1)
    other.refresh()
    assert other.permits(1) == []
    one.give_back([permit for permit in found if permit])
    assert len(other.permits(1)) == 1


def test_after_a_report_that_redis_did_not_take_the_next_ones_are_skipped_for_a_while() -> None:
    asked: list[int] = []

    class Hanging:
        def report(self, good: int, bad: int, permits: object) -> None:
            asked.append(1)
            raise RedisUnavailable("TimeoutError")

    hanging: Any = Hanging()
    pausing = BreakerGate(hanging, "w1", 30)
    for _ in range(64):
        pausing.report(job(), good=True)
    assert len(asked) == 1
    pausing.give_back(["p1"])  # a permit is returned all the same: other processes wait for it
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
def test_a_call_is_reported_to_the_breaker_and_a_pushback_to_the_limit(
    lane: RoutingLane,
    store: Redis,
    simulator: Simulator,
    behaviour: Document,
    error: type[Exception] | None,
    good: int,
    resting: int,
) -> None:
    simulator.behave(**behaviour)
    if error is None:
        assert lane.handle(job()) == Done("routed")
    else:
        with pytest.raises(error):
            lane.handle(job())
    reported: Any = store.hgetall("{gw:0}:breaker")
    assert sum(int(n) for name, n in reported.items() if name.startswith("ok:")) == good
    assert sum(int(n) for name, n in reported.items() if name.startswith("failed:")) == 1 - good
    assert lane.allowed() == 4 - resting


def test_an_event_that_was_reserved_before_the_breaker_opened_makes_no_call(
    lane: RoutingLane, redis_server: RedisServer, simulator: Simulator
) -> None:
    open_breaker(gate(redis_server))
    lane.refresh()
    with pytest.raises(BreakerOpen):
        lane.handle(job())
    assert simulator.stats()["calls"] == 0
    assert lane.permit_wait_seconds() > 0


def test_a_failed_call_that_opens_the_breaker_consumes_no_attempt(
    lane: RoutingLane, simulator: Simulator
) -> None:
    simulator.behave(fail_ratio=1)
    for _ in range(POLICY.min_calls - 1):
        with pytest.raises(Transient):
            lane.handle(job())
    with pytest.raises(BreakerOpen):  # which defers the event
        lane.handle(job())
