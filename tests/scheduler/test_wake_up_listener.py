"""The listener wakes at a token or at the deadline, to some milliseconds, also after faults."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from scheduler.connection import RedisConnection
from scheduler.errors import RedisUnavailable
from scheduler.wake_up_listener import WakeUpListener
from tests.support.redis_proxy import Proxy
from tests.support.servers import RedisServer, await_true

KEY = "{gw:0}:wake:scheduler"


@pytest.fixture
def listener(store: Redis, redis_server: RedisServer) -> Iterator[WakeUpListener]:
    connection = RedisConnection(redis_server.url)
    yield WakeUpListener(connection, KEY)
    connection.close()


def _rung(listener: WakeUpListener, seconds: float) -> tuple[bool, float]:
    start = time.monotonic()
    return listener.wait(seconds), time.monotonic() - start


def test_it_sleeps_until_the_deadline_and_not_until_redis_checks_timeouts(
    listener: WakeUpListener,
) -> None:
    lates = []
    for seconds in (0.013, 0.031, 0.047, 0.059, 0.071):
        woken, took = _rung(listener, seconds)
        assert not woken
        assert took >= seconds - 0.001
        lates.append(took - seconds)
    assert statistics.median(lates) < 0.02


def test_a_token_wakes_it_at_once(listener: WakeUpListener, store: Redis) -> None:
    lates = []
    for _ in range(5):
        pushed: list[float] = []

        def push(pushed: list[float] = pushed) -> None:
            store.lpush(KEY, "1")
            pushed.append(time.monotonic())

        timer = threading.Timer(0.05, push)
        timer.start()
        assert listener.wait(5)
        lates.append(time.monotonic() - pushed[0] if pushed else 0)
        timer.join()
    assert statistics.median(lates) < 0.5  # without the token it would sleep for 5 s


def test_a_token_from_before_wakes_it(listener: WakeUpListener, store: Redis) -> None:
    store.lpush(KEY, "1")
    woken, took = _rung(listener, 5)
    assert woken
    assert took < 1
    assert not store.exists(KEY)


def test_a_token_that_arrives_between_two_waits_is_not_lost(
    listener: WakeUpListener, store: Redis
) -> None:
    assert not listener.wait(0.01)
    store.lpush(KEY, "1")
    assert listener.wait(1)
    assert not listener.wait(0.01)


def test_it_sleeps_through_the_end_of_its_own_blpop(
    redis_server: RedisServer, store: Redis
) -> None:
    listener = WakeUpListener(RedisConnection(redis_server.url), KEY, block_seconds=0.1)
    woken, took = _rung(listener, 0.45)
    assert not woken
    assert took == pytest.approx(0.5, abs=0.05)
    store.lpush(KEY, "1")
    assert listener.wait(1)


def test_it_survives_a_restart_of_redis(own_server: RedisServer) -> None:
    listener = WakeUpListener(RedisConnection(own_server.url), KEY)
    assert not listener.wait(0.01)
    own_server.kill()
    for _ in range(2):
        with pytest.raises(RedisUnavailable):
            listener.wait(5)
    own_server.start()
    assert not listener.wait(0.01)
    own_server.client().lpush(KEY, "1")
    assert listener.wait(5)


def test_it_raises_at_once_when_redis_is_killed_while_it_sleeps(own_server: RedisServer) -> None:
    listener = WakeUpListener(RedisConnection(own_server.url), KEY)
    listener.wait(0.01)
    threading.Timer(0.1, own_server.kill).start()
    start = time.monotonic()
    with pytest.raises(RedisUnavailable):
        listener.wait(30)
    assert time.monotonic() - start < 5


def test_it_closes_a_connection_that_silently_stopped_working(
    redis_server: RedisServer, store: Redis, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder: Path = tmp_path_factory.mktemp("p")
    with Proxy(redis_server.url, folder) as proxy:
        listener = WakeUpListener(
            RedisConnection(proxy.url), KEY, block_seconds=0.2, grace_seconds=0.1
        )
        assert not listener.wait(0.05)
        proxy.pass_only(0)

        def noticed() -> bool:
            try:
                return listener.wait(0.05)
            except RedisUnavailable:
                return True

        await_true(noticed, 3, "the end of patience")
        proxy.pass_only(None)
        store.delete(KEY)
        store.lpush(KEY, "1")
        assert listener.wait(1)
        assert proxy.connections == 2
