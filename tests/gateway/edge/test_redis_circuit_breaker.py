"""The circuit breaker: after one fault no request waits for Redis until a probe has succeeded."""

from __future__ import annotations

import logging
import threading

import pytest

from gateway.edge.redis_circuit_breaker import (
    PROBE_INTERVAL_SECONDS,
    PROBE_TIMEOUT_SECONDS,
    TIMEOUTS_BETWEEN_LONG_PROBES,
    RedisCircuitBreaker,
)
from scheduler.accept_command import Caps
from scheduler.errors import RedisUnavailable
from scheduler.events import Acceptance, IncomingEvent
from scheduler.producer import Producer, Readiness


class FakeRedis:
    """A Redis that can be unreachable, slow or read-only and records its requests, and a clock that
    the test sets."""

    def __init__(self) -> None:
        self.time = 100.0
        self.connected = 0
        self.requests: list[str] = []
        self.reachable = self.writable = True
        self.slow = False  # answers only a probe with a whole timeout
        self.probing: threading.Event | None = None
        self.probe_may_end = threading.Event()

    def connect(self) -> FakeProducer:
        self.connected += 1
        return FakeProducer(self)

    def clock(self) -> float:
        return self.time

    def request(self, what: str, succeeds: bool) -> None:
        self.requests.append(what)
        if not succeeds:
            raise RedisUnavailable("TimeoutError" if not self.reachable else "READONLY")


TIMEOUT = 0.5
CAPS = Caps(1, 1, 1)
EVENT = IncomingEvent("a:1", "a", b"{}", "d", "KEY")


class FakeProducer(Producer):
    """A producer connected to the fake Redis."""

    def __init__(self, redis: FakeRedis) -> None:
        super().__init__("redis://127.0.0.1:1", TIMEOUT, CAPS)
        self.redis = redis

    def accept(self, event: IncomingEvent) -> Acceptance:
        self.redis.request("accept", self.redis.reachable and self.redis.writable)
        return Acceptance("accepted", 1, 0)

    def warm(self) -> None:
        pass

    def probe(self, timeout_seconds: float) -> None:
        if self.redis.probing is not None:
            self.redis.probing.set()
            assert self.redis.probe_may_end.wait(5)
        succeeds = self.redis.reachable and (timeout_seconds == TIMEOUT or not self.redis.slow)
        self.redis.request(
            "probe"
            if timeout_seconds == PROBE_TIMEOUT_SECONDS
            else f"probe of {timeout_seconds} s",
            succeeds,
        )

    def ready(self) -> Readiness:
        self.redis.request("ready", self.redis.reachable)
        return Readiness("always", 0, 0, 0, CAPS)


def send(breaker: RedisCircuitBreaker) -> bool:
    """Whether an event is accepted."""
    try:
        return breaker.accept(EVENT).code == "accepted"
    except RedisUnavailable:
        return False


@pytest.fixture
def redis() -> FakeRedis:
    return FakeRedis()


@pytest.fixture
def breaker(redis: FakeRedis) -> RedisCircuitBreaker:
    return RedisCircuitBreaker(redis.connect, redis.clock)


def test_a_healthy_redis_is_never_probed(redis: FakeRedis, breaker: RedisCircuitBreaker) -> None:
    assert [send(breaker) for _ in range(3)] == [True] * 3
    assert redis.requests == ["accept"] * 3


def test_after_one_fault_redis_gets_no_request_until_the_probe_interval_is_over(
    redis: FakeRedis, breaker: RedisCircuitBreaker
) -> None:
    redis.reachable = False
    assert not send(breaker)
    redis.time += PROBE_INTERVAL_SECONDS * 0.99
    assert not any(send(breaker) for _ in range(1000))
    assert redis.requests == ["accept"]


def test_a_failing_redis_gets_one_probe_per_interval(
    redis: FakeRedis, breaker: RedisCircuitBreaker
) -> None:
    redis.reachable = False
    send(breaker)
    for _ in range(4):
        redis.time += PROBE_INTERVAL_SECONDS
        assert not any(send(breaker) for _ in range(10))
    assert redis.requests == ["accept", *["probe"] * 4]


def test_the_request_whose_probe_succeeds_is_accepted_and_so_are_all_after_it(
    redis: FakeRedis, breaker: RedisCircuitBreaker
) -> None:
    redis.reachable = False
    send(breaker)
    redis.reachable = True
    assert not send(breaker)
    redis.time += PROBE_INTERVAL_SECONDS
    assert [send(breaker), send(breaker)] == [True, True]
    assert redis.requests == ["accept", "probe", "accept", "accept"]


def test_one_of_many_threads_probes_and_the_others_do_not_wait_for_it(
    redis: FakeRedis, breaker: RedisCircuitBreaker
) -> None:
    redis.reachable = False
    send(breaker)
    redis.time += PROBE_INTERVAL_SECONDS
    redis.probing = threading.Event()
    prober = threading.Thread(target=send, args=(breaker,))
    prober.start()
    assert redis.probing.wait(5)
    assert not any(send(breaker) for _ in range(20))
    redis.probe_may_end.set()
    prober.join(5)
    assert redis.requests == ["accept", "probe"]


def test_a_permanently_slow_redis_is_used_again_after_a_probe_of_a_whole_timeout(
    redis: FakeRedis, breaker: RedisCircuitBreaker
) -> None:
    redis.reachable = False
    send(breaker)
    begin = redis.time
    redis.reachable, redis.slow = True, True
    while redis.time < begin + TIMEOUTS_BETWEEN_LONG_PROBES * TIMEOUT - PROBE_INTERVAL_SECONDS:
        redis.time += PROBE_INTERVAL_SECONDS
        assert not send(breaker)
    redis.time += PROBE_INTERVAL_SECONDS
    assert send(breaker)
    assert redis.requests[-2:] == [f"probe of {TIMEOUT} s", "accept"]


def test_long_probes_take_a_small_part_of_the_time(
    redis: FakeRedis, breaker: RedisCircuitBreaker
) -> None:
    redis.reachable = False
    send(breaker)
    for _ in range(1000):
        redis.time += PROBE_INTERVAL_SECONDS
        send(breaker)
    long_probes = redis.requests.count(f"probe of {TIMEOUT} s")
    assert (
        0.8 / TIMEOUTS_BETWEEN_LONG_PROBES
        < long_probes * TIMEOUT / (1000 * PROBE_INTERVAL_SECONDS)
        <= 1 / TIMEOUTS_BETWEEN_LONG_PROBES
    )


def test_any_number_of_readiness_requests_cost_redis_one_request_per_interval(
    redis: FakeRedis, breaker: RedisCircuitBreaker
) -> None:
    assert len({breaker.ready().durability for _ in range(1000)}) == 1
    assert redis.requests == ["ready"]
    redis.time += PROBE_INTERVAL_SECONDS
    breaker.ready()
    assert redis.requests == ["ready", "ready"]


def test_a_fault_discards_the_remembered_readiness(
    redis: FakeRedis, breaker: RedisCircuitBreaker
) -> None:
    breaker.ready()
    redis.reachable = False
    send(breaker)
    with pytest.raises(RedisUnavailable, match="circuit open"):
        breaker.ready()


def test_readiness_shares_the_circuit(redis: FakeRedis, breaker: RedisCircuitBreaker) -> None:
    assert breaker.ready().durability == "always"
    redis.time += PROBE_INTERVAL_SECONDS
    redis.reachable = False
    with pytest.raises(RedisUnavailable):
        breaker.ready()
    with pytest.raises(RedisUnavailable, match="circuit open"):
        breaker.ready()
    assert not send(breaker)
    redis.reachable = True
    redis.time += PROBE_INTERVAL_SECONDS
    assert breaker.ready().durability == "always"
    assert send(breaker)


def test_a_redis_that_refuses_writes_is_logged_once_and_its_recovery_once(
    redis: FakeRedis, breaker: RedisCircuitBreaker, caplog: pytest.LogCaptureFixture
) -> None:
    redis.writable = False
    with caplog.at_level(logging.INFO):
        for _ in range(10):
            assert not send(breaker)
            redis.time += PROBE_INTERVAL_SECONDS
        redis.writable = True
        assert send(breaker)
        assert send(breaker)
    assert [record.getMessage() for record in caplog.records] == [
        "Redis does not confirm (READONLY); answering 503 until it does",
        "Redis confirms again, after 2.5 s",
    ]


def test_another_exception_does_not_open_the_circuit(
    redis: FakeRedis, breaker: RedisCircuitBreaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Acceptance:
        raise KeyError("unexpected")

    monkeypatch.setattr(FakeProducer, "accept", broken)
    with pytest.raises(KeyError):
        breaker.accept(EVENT)
    monkeypatch.undo()
    assert send(breaker)
    assert redis.requests == ["accept"]


def test_connections_from_before_a_fault_are_not_used_after_it(
    redis: FakeRedis, breaker: RedisCircuitBreaker
) -> None:
    assert redis.connected == 1
    redis.reachable = False
    send(breaker)
    redis.time += PROBE_INTERVAL_SECONDS
    send(breaker)
    assert redis.connected == 1  # no connection while it is unreachable
    redis.reachable = True
    redis.time += PROBE_INTERVAL_SECONDS
    assert [send(breaker), send(breaker)] == [True, True]
    assert redis.connected == 2


def test_a_late_failure_of_an_old_request_does_not_open_the_circuit_again(
    redis: FakeRedis, breaker: RedisCircuitBreaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, may_fail = threading.Event(), threading.Event()

    def slow(*_: object) -> Acceptance:
        waiting.set()
        assert may_fail.wait(5)
        raise RedisUnavailable("TimeoutError")

    with monkeypatch.context() as patch:
        patch.setattr(FakeProducer, "accept", slow)
        thread = threading.Thread(target=send, args=(breaker,))
        thread.start()
        assert waiting.wait(5)
    redis.reachable = False
    send(breaker)
    redis.reachable = True
    redis.time += PROBE_INTERVAL_SECONDS
    assert send(breaker)
    may_fail.set()
    thread.join(5)
    assert send(breaker)
