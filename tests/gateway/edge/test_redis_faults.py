"""The edge while Redis is down, stalls or refuses writes, and while the edge itself is stopped."""

from __future__ import annotations

import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from gateway.edge.redis_circuit_breaker import PROBE_TIMEOUT_SECONDS
from tests.gateway.conftest import StartEdge
from tests.support.edge import Edge, Reply, event
from tests.support.servers import RedisServer, await_true

TIMEOUT_SECONDS = 0.5  # the default of REDIS_TIMEOUT_SECONDS


def assert_unavailable(reply: Reply) -> None:
    assert (reply.status, reply.problem) == (503, "unavailable")
    assert int(reply.headers["retry-after"]) >= 1


@pytest.fixture
def edge(start_edge: StartEdge, own_redis: RedisServer) -> Edge:
    """An edge with open connections to a Redis that the test may harm."""
    edge = start_edge(own_redis.url)
    for _ in range(40):  # enough for every thread to connect
        assert edge.post(event("evt_before")).status in (202, 200)
    return edge


def assert_recovers(edge: Edge, seconds: float = 3) -> None:
    await_true(lambda: edge.post(event("evt_after")).status in (202, 200), seconds, "recovery")


def test_503_while_redis_is_killed_and_202_after_it_is_back_without_a_restart(
    edge: Edge, own_redis: RedisServer
) -> None:
    own_redis.kill()
    for n in range(20):
        assert_unavailable(edge.post(event(f"evt_{n}")))
    ready = edge.get("/readyz")
    assert (ready.status, ready.problem) == (503, "not-ready")
    assert edge.get("/healthz").status == 200
    assert edge.post(event("evt_1"), X_Signature=None).status == 401
    own_redis.start()
    assert_recovers(edge)
    for _ in range(40):  # enough for every thread: none kept a connection to the killed one
        assert edge.post(event("evt_before")).status == 200
    assert edge.get("/readyz").status == 200


def test_a_stalled_redis_delays_one_request_by_a_timeout_and_later_ones_hardly(
    edge: Edge, own_redis: RedisServer
) -> None:
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    try:
        first = edge.post(event("evt_0"))
        assert_unavailable(first)
        assert first.seconds < 1
        begin, replies = time.monotonic(), []
        while time.monotonic() < begin + 2:
            replies.append(edge.post(event("evt_1")))
        for reply in replies:
            assert_unavailable(reply)
        # Eight requests probe, for 50 ms each, all others are answered at once, and none waits for
        # a whole timeout. The machine may be busy, hence the median.
        assert statistics.median(reply.seconds for reply in replies) < PROBE_TIMEOUT_SECONDS
        assert max(reply.seconds for reply in replies) < TIMEOUT_SECONDS
    finally:
        own_redis.process.send_signal(signal.SIGCONT)
    assert_recovers(edge)


def test_replies_are_never_mixed_up_after_a_stall(edge: Edge, own_redis: RedisServer) -> None:
    assert own_redis.process is not None
    for n in range(3):
        own_redis.process.send_signal(signal.SIGSTOP)
        assert_unavailable(edge.post(event(f"evt_lost_{n}")))
        own_redis.process.send_signal(signal.SIGCONT)
        assert_recovers(edge)
        # The stalled write may have taken effect; later requests must get their own replies.
        assert edge.post(event(f"evt_new_{n}")).status == 202
        assert edge.post(event(f"evt_new_{n}")).status == 200


@pytest.mark.parametrize(
    ("command", "undo"),
    [
        (
            lambda redis: redis.config_set("maxmemory", 1),
            lambda redis: redis.config_set("maxmemory", 0),
        ),
        (lambda redis: redis.replicaof("127.0.0.1", 1), lambda redis: redis.replicaof("NO", "ONE")),
    ],
    ids=["out of memory", "read-only"],
)
def test_503_while_redis_refuses_to_write(
    edge: Edge,
    own_redis: RedisServer,
    command: Callable[[Redis], object],
    undo: Callable[[Redis], object],
) -> None:
    client = own_redis.client()
    command(client)
    for n in range(5):
        assert_unavailable(edge.post(event(f"evt_{n}")))
        time.sleep(0.3)  # longer than the probe interval, so that each request is tried
    undo(client)
    assert_recovers(edge)
    assert edge.log.count("Redis does not confirm") == 1
    assert edge.log.count("Redis confirms again") == 1


def test_flushed_scripts_are_loaded_again(edge: Edge, own_redis: RedisServer) -> None:
    own_redis.client().script_flush()
    assert edge.post(event("evt_1")).status == 202


def test_an_edge_starts_without_redis_and_serves_when_it_comes(
    start_edge: StartEdge, own_redis: RedisServer
) -> None:
    own_redis.kill()
    edge = start_edge(own_redis.url)
    assert_unavailable(edge.post(event("evt_1")))
    own_redis.start()
    assert_recovers(edge)


def test_a_stopped_edge_has_stored_everything_it_acknowledged(
    edge: Edge, own_redis: RedisServer
) -> None:
    acknowledged: list[str] = []

    def send(thread: int) -> None:
        for n in range(100_000):
            try:
                reply = edge.post(event(f"evt_{thread}_{n}"))
            except OSError:
                return
            if reply.status == 202:
                acknowledged.append(f"bench:evt_{thread}_{n}")

    threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    await_true(lambda: len(acknowledged) > 200, 20)
    assert edge.process is not None
    edge.process.terminate()
    assert edge.process.wait(15) == 0
    for thread in threads:
        thread.join(15)
    client = own_redis.client()
    stored = set(client.lrange("{gw:0}:ready:lookup:bench", 0, -1))
    assert set(acknowledged) <= stored
    assert client.hget("{gw:0}:stats", "accepted") == str(len(stored))


def test_the_workers_of_a_killed_master_exit_and_free_the_port(edge: Edge) -> None:
    # A graceful stop would wait for it.
    idle = socket.create_connection(("127.0.0.1", edge.port), 5)
    assert edge.process is not None
    edge.process.kill()
    edge.process.wait()
    edge.start()
    assert edge.post(event("evt_1")).status == 202
    idle.close()


def test_clients_that_stall_during_a_request_do_not_block_others(edge: Edge) -> None:
    head = b"POST /v1/events/bench HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    stalled = [socket.create_connection(("127.0.0.1", edge.port), 5) for _ in range(64)]
    for n, connection in enumerate(stalled):
        connection.sendall(head if n % 2 else head + b"Content-Length: 9\r\n\r\n{")
    time.sleep(0.5)
    reply = edge.post(event("evt_1"))
    assert reply.status == 202
    assert reply.seconds < 15  # gthread: two rounds of 32 stalled clients; meinheld: immediately
    for connection in stalled:
        connection.close()
    assert "WORKER TIMEOUT" not in edge.log


def test_clients_that_do_not_close_their_end_do_not_block_others(edge: Edge) -> None:
    lazy = [socket.create_connection(("127.0.0.1", edge.port), 5) for _ in range(10)]
    for connection in lazy:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"
    assert edge.post(event("evt_1")).seconds < 1
    for connection in lazy:
        connection.close()


def test_missing_secrets_stop_the_start_with_one_line_each_and_no_traceback(
    kind: str, tmp_path: Path, own_redis: RedisServer
) -> None:
    edge = Edge(tmp_path, own_redis.url, kind, PROFILE="production", REDIS_TIMEOUT_SECONDS="soon")
    assert edge.launch().wait(20) == 78
    assert edge.log == (
        "gateway: REDIS_TIMEOUT_SECONDS='soon' is not allowed: it must be a number "
        "from 0.01 to 10\n"
    )
    (tmp_path / "edge.log").unlink()
    del edge.environ["REDIS_TIMEOUT_SECONDS"]
    assert edge.launch().wait(20) == 78
    lines = edge.log.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("gateway: ") and "secrets_env: none of" in line for line in lines)


def test_the_worker_class_is_logged_in_one_line(edge: Edge, kind: str) -> None:
    lines = [line for line in edge.log.splitlines() if "serving with" in line]
    assert len(lines) == 1
    assert f"serving with {kind}" in lines[0]
