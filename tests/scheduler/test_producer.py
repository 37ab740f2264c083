"""Producer: the edge's side of the queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from scheduler.accept_command import Caps
from scheduler.connection import RedisConnection
from scheduler.errors import RedisUnavailable
from scheduler.events import Acceptance, IncomingEvent
from scheduler.producer import Producer, Readiness
from scheduler.queue import Queue
from tests.support.queue_moves import CAPS, ID, accept, dead_lettered
from tests.support.redis_proxy import Proxy
from tests.support.servers import RedisServer, await_true


def _post(producer: Producer, id: str) -> Acceptance:
    return producer.accept(IncomingEvent(id, "bench", b"{}", "d", "KEY_A"))


def test_it_accepts_through_the_queue(store: Redis, redis_server: RedisServer) -> None:
    producer = Producer(redis_server.url, 0.5, Caps(1, 10**6, 10))
    assert _post(producer, ID) == Acceptance("accepted", 1, 0)
    assert _post(producer, ID).code == "duplicate"
    assert _post(producer, "bench:2").code == "full"


@pytest.mark.parametrize(
    "reply",
    [
        None,
        7,
        b"PONG",
        b"abc",
        [],
        [b"accepted"],
        [b"granted", 1, 0],
        [b"accepted", 1, b"soon"],
        [1, 2, 3],
        [[], 1, 0],
    ],
)
def test_an_unknown_reply_to_accept_is_an_error_and_closes_the_connection(
    store: Redis, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, reply: Any
) -> None:
    queue = Queue(RedisConnection(redis_server.url))
    accept(queue)
    own = store.client_list()
    with monkeypatch.context() as patch:
        patch.setattr(RedisConnection, "run_packed", lambda *_: reply)
        with pytest.raises(RedisUnavailable, match="unknown reply"):
            accept(queue)
    await_true(lambda: len(store.client_list()) == len(own) - 1, what="the connection to be closed")
    assert accept(queue).code == "duplicate"
    queue.connection.close()


def test_after_warm_up_only_the_event_is_left_to_send(
    store: Redis, redis_server: RedisServer
) -> None:
    store.script_flush()
    producer = Producer(redis_server.url, 2, CAPS)
    producer.warm()
    store.config_resetstat()
    assert _post(producer, "bench:1").code == "accepted"
    assert store.info("stats")["total_connections_received"] == 0
    assert store.info("commandstats")["cmdstat_evalsha"]["failed_calls"] == 0


def test_without_redis_warm_up_raises_nothing_and_accept_does(tmp_path: Path) -> None:
    producer = Producer(f"unix://{tmp_path}/none.sock", 2, CAPS)
    producer.warm()
    with pytest.raises(RedisUnavailable):
        _post(producer, "bench:1")


def test_each_thread_has_a_connection_of_its_own(store: Redis, redis_server: RedisServer) -> None:
    producer = Producer(redis_server.url, 2, CAPS)
    codes: list[str] = []

    def post(thread: int) -> None:
        codes.extend(_post(producer, f"bench:{thread}-{n}").code for n in range(25))

    threads = [threading.Thread(target=post, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == ["accepted"] * 200
    assert store.hget("{gw:0}:stats", "accepted") == "200"


def test_a_thread_keeps_its_connection(
    store: Redis, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Proxy(redis_server.url, tmp_path_factory.mktemp("p")) as proxy:
        producer = Producer(proxy.url, 2, CAPS)
        for n in range(5):
            _post(producer, f"bench:{n}")
        assert proxy.connections == 1


def test_readiness_has_the_backlog_and_the_number_of_dead_letters(
    queue: Queue, redis_server: RedisServer
) -> None:
    dead_lettered(queue, "bench:dead")
    accept(queue, "bench:1")
    accept(queue, "bench:2")
    ready = Producer(redis_server.url, 0.5, CAPS).ready()
    assert ready == Readiness("always", 2, 14, 1, CAPS)
    assert not ready.full


def test_readiness_takes_one_timeout_at_most_for_all_its_commands(
    store: Redis, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Proxy(redis_server.url, tmp_path_factory.mktemp("p")) as proxy:
        producer = Producer(proxy.url, 1.0, CAPS)
        assert producer.ready().durability == "always"
        proxy.delay_seconds = 0.4  # each of the four commands alone would be in time
        begin = time.monotonic()
        with pytest.raises(RedisUnavailable, match="TimeoutError"):
            producer.ready()
        assert time.monotonic() - begin < 1.3


def test_an_empty_redis_is_ready(store: Redis, redis_server: RedisServer) -> None:
    assert Producer(redis_server.url, 0.5, CAPS).ready() == Readiness("always", 0, 0, 0, CAPS)


@pytest.mark.parametrize(
    "caps", [Caps(2, 100, 9), Caps(9, 14, 9), Caps(9, 100, 1)], ids=["events", "bytes", "dead"]
)
def test_at_any_cap_it_is_full(caps: Caps) -> None:
    assert Readiness("always", 2, 14, 1, caps).full
    assert not Readiness("always", 1, 13, 0, caps).full


@pytest.mark.parametrize(
    ("settings", "reply"),
    [
        ({"appendfsync": "everysec"}, "everysec"),
        ({"appendfsync": "no"}, "none"),
        ({"appendonly": "no"}, "none"),
    ],
)
def test_readiness_has_the_durability_that_redis_is_configured_for(
    own_server: RedisServer, settings: dict[str, str], reply: str
) -> None:
    store = own_server.client()
    for name, value in settings.items():
        store.config_set(name, value)
    assert Producer(own_server.url, 2, CAPS).ready().durability == reply


def test_a_server_that_denies_config_is_ready_with_unknown_durability(
    own_server: RedisServer,
) -> None:
    own_server.client().execute_command(  # type: ignore[no-untyped-call]
        "ACL", "SETUSER", "default", "-config"
    )
    assert Producer(own_server.url, 2, CAPS).ready().durability == "unknown"


def test_a_server_without_config_is_ready_with_unknown_durability(
    managed_server: RedisServer,
) -> None:
    assert Producer(managed_server.url, 2, CAPS).ready().durability == "unknown"


def _answers(producer: Producer) -> bool:
    try:
        producer.probe(0.1)
    except RedisUnavailable:
        return False
    return True


def test_the_probe_follows_redis_down_and_up(own_server: RedisServer) -> None:
    producer = Producer(own_server.url, 0.5, CAPS)
    assert _answers(producer)
    own_server.kill()
    assert not _answers(producer)
    own_server.start()
    assert _answers(producer)


@pytest.mark.parametrize(
    "act",
    [lambda i: i.probe(0.1), lambda i: _post(i, ID), lambda i: i.ready()],
    ids=["probe", "accept", "ready"],
)
def test_a_silent_redis_costs_no_more_than_the_timeout(
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
    act: Callable[[Producer], object],
) -> None:
    folder: Path = tmp_path_factory.mktemp("p")
    with Proxy(redis_server.url, folder) as proxy:
        producer = Producer(proxy.url, 0.1, CAPS)
        proxy.pass_only(0)
        start = time.monotonic()
        with pytest.raises(RedisUnavailable):
            act(producer)
        assert time.monotonic() - start < 1
