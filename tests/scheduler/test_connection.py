"""A reply belongs to its command, and a connection works again after every fault."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import pytest
from redis import Redis

from scheduler.connection import RedisConnection
from scheduler.errors import RedisUnavailable
from scheduler.queue import Queue
from scheduler.scripts import Script
from tests.support.queue_moves import accept, held_for_routing, take_one
from tests.support.redis_proxy import Proxy
from tests.support.servers import RedisServer, await_true
from tests.support.store_snapshot import changes, dump


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose name is short enough for a socket."""
    return tmp_path_factory.mktemp("p")


def test_a_reply_that_comes_too_late_is_never_read(store: Redis, redis_server: RedisServer) -> None:
    connection = RedisConnection(redis_server.url)
    with pytest.raises(RedisUnavailable, match="TimeoutError"):
        connection.command("BLPOP", "late", 5, timeout_seconds=0.05)
    assert connection.command("ECHO", "mine") == b"mine"
    store.lpush("late", "stale")  # would be the reply to the first command
    assert connection.command("ECHO", "mine too") == b"mine too"
    connection.close()


def test_a_connection_survives_an_outage_of_any_number_of_attempts(
    redis_server: RedisServer, folder: Path
) -> None:
    connection = RedisConnection(f"unix://{folder}/late.sock")
    for _ in range(300):  # a minute at five attempts a second
        with pytest.raises(RedisUnavailable, match="ConnectionError"):
            connection.command("PING")
    with Proxy(redis_server.url, folder) as proxy:
        Path(proxy.url.removeprefix("unix://")).rename(folder / "late.sock")
        assert connection.command("ECHO", "mine") == b"mine"
    connection.close()


def test_a_timeout_of_one_command_is_not_kept_for_the_next(redis_server: RedisServer) -> None:
    connection = RedisConnection(redis_server.url, timeout_seconds=0.05)
    assert connection.command("BLPOP", "nothing", "0.2", timeout_seconds=2) is None
    with pytest.raises(RedisUnavailable, match="TimeoutError"):
        connection.command("BLPOP", "nothing", "0.2")


def test_a_server_that_does_not_read_costs_no_more_than_the_timeout(
    folder: Path,
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "deaf.sock"))
        listener.listen()
        connection = RedisConnection(f"unix://{folder}/deaf.sock", timeout_seconds=0.2)
        began = time.monotonic()
        with pytest.raises(RedisUnavailable, match="TimeoutError"):
            connection.command("ECHO", b"x" * 10_000_000)
        assert time.monotonic() - began < 5
        connection.close()


def test_a_reply_that_was_read_in_part_closes_its_connection(
    redis_server: RedisServer, folder: Path
) -> None:
    with Proxy(redis_server.url, folder) as proxy:
        connection = RedisConnection(proxy.url, timeout_seconds=0.1)
        assert connection.command("ECHO", "whole") == b"whole"
        proxy.pass_only(4)
        with pytest.raises(RedisUnavailable, match="TimeoutError"):
            connection.command("ECHO", "a reply of some length")
        proxy.pass_only(None)
        assert connection.command("ECHO", "mine") == b"mine"
        assert proxy.connections == 2


def test_a_connection_that_was_reset_while_idle_is_opened_again_before_anything_is_sent(
    redis_server: RedisServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.connection.IDLE_SECONDS", -1)  # it counts as idle
    with Proxy(redis_server.url, folder) as proxy:
        connection = RedisConnection(proxy.url, timeout_seconds=0.5)
        connection.command("PING")
        proxy.cut()
        assert connection.command("PING") == b"PONG"
        assert proxy.connections == 2


def test_a_connection_that_was_reset_is_opened_again_by_the_next_command(
    redis_server: RedisServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "scheduler.connection.IDLE_SECONDS", 60
    )  # it counts as busy, also on a slow machine
    with Proxy(redis_server.url, folder) as proxy:
        connection = RedisConnection(proxy.url, timeout_seconds=0.5)
        connection.command("PING")
        proxy.cut()
        with pytest.raises(RedisUnavailable, match="ConnectionError"):
            connection.command("PING")
        assert connection.command("PING") == b"PONG"


def test_a_server_that_does_not_complete_the_handshake_is_tried_once_per_command(
    redis_server: RedisServer, folder: Path
) -> None:
    with Proxy(redis_server.url, folder) as proxy:
        proxy.pass_only(0)
        with pytest.raises(RedisUnavailable, match="TimeoutError"):
            RedisConnection(proxy.url, timeout_seconds=0.1).command("PING")
        assert proxy.connections == 1


def test_no_command_is_repeated_automatically(
    store: Redis, redis_server: RedisServer, folder: Path
) -> None:
    with Proxy(redis_server.url, folder) as proxy:
        connection = RedisConnection(proxy.url, timeout_seconds=0.1)
        connection.command("PING")
        proxy.pass_only(0)
        with pytest.raises(RedisUnavailable):
            connection.command("INCR", "sent")
        await_true(lambda: store.get("sent") is not None)
        assert store.get("sent") == "1"


class _Interrupted(BaseException):
    pass


def _interrupt(*_: object) -> None:
    raise _Interrupted


def test_an_interrupted_command_leaves_no_reply_behind(
    store: Redis, redis_server: RedisServer
) -> None:
    connection = RedisConnection(redis_server.url)
    former = signal.signal(signal.SIGALRM, _interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(_Interrupted):
            connection.command("BLPOP", "late", 5)
    finally:
        signal.signal(signal.SIGALRM, former)
    store.lpush("late", "stale")
    assert connection.command("ECHO", "mine") == b"mine"


def test_an_error_reply_keeps_the_connection(store: Redis, redis_server: RedisServer) -> None:
    connection = RedisConnection(redis_server.url)
    mine = connection.command("CLIENT", "ID")
    store.set("text", "x")
    with pytest.raises(RedisUnavailable, match=r"^WRONGTYPE$"):
        connection.command("LPUSH", "text", "x")
    with pytest.raises(RedisUnavailable, match=r"^ERR$"):
        connection.command("NO-SUCH-COMMAND", "secret")
    assert connection.command("CLIENT", "ID") == mine


def test_the_reason_is_a_code_and_holds_no_argument(redis_server: RedisServer) -> None:
    connection = RedisConnection(redis_server.url)
    script = Script("bad", "return redis.call('LPUSH', KEYS[1])", "0" * 40)
    with pytest.raises(RedisUnavailable) as caught:
        connection.run(script, ["secret"], [])
    assert str(caught.value) == "NOSCRIPT"
    with pytest.raises(RedisUnavailable) as caught:
        connection.command("SET", "k", "v", "secret")
    assert str(caught.value) == "ERR"


def test_after_readonly_the_address_is_connected_to_again(
    own_server: RedisServer, folder: Path
) -> None:
    store = own_server.client()
    with Proxy(own_server.url, folder) as proxy:
        queue = Queue(RedisConnection(proxy.url))
        accept(queue, "bench:1")
        before = dump(store)
        store.replicaof("127.0.0.1", "1")
        with pytest.raises(RedisUnavailable, match=r"^READONLY$"):
            accept(queue, "bench:2")
        assert changes(before, dump(store)) == {}
        store.replicaof("NO", "ONE")
        assert accept(queue, "bench:2").code == "accepted"
        assert proxy.connections == 2


def test_a_killed_and_restarted_server_has_every_confirmed_event(own_server: RedisServer) -> None:
    queue = Queue(RedisConnection(own_server.url))
    queue.done(held_for_routing(queue, "bench:done"), "routed")
    queue.retry(held_for_routing(queue, "bench:retry"), 60, "timeout")
    held_for_routing(queue, "bench:locked")
    accept(queue, "bench:ready", body=b"\x00\xff")
    client = own_server.client()
    before = dump(client)
    own_server.kill()
    for _ in range(2):
        with pytest.raises(RedisUnavailable, match="ConnectionError"):
            accept(queue, "bench:refused")
    own_server.start()
    assert changes(before, dump(client)) == {}
    assert take_one(queue).body == b"\x00\xff"


def test_scripts_are_loaded_again_after_a_flush(queue: Queue, store: Redis) -> None:
    accept(queue, "bench:1")
    store.script_flush()
    assert accept(queue, "bench:2").code == "accepted"
    assert accept(queue, "bench:2").code == "duplicate"
