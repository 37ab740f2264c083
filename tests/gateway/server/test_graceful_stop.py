"""The edge stops gracefully: open connections get a last answer, and no client delays the stop."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.gateway.conftest import StartEdge
from tests.support.edge import Edge, event
from tests.support.persistent_connection import Connect
from tests.support.servers import RedisServer, await_true

LONG = "60"  # DRAIN_SECONDS, so long that a test that waits for it fails


@pytest.fixture
def edge(start_edge: StartEdge, own_redis: RedisServer) -> Edge:
    """An edge with one worker and a long drain."""
    return start_edge(own_redis.url, DRAIN_SECONDS=LONG)


def open_files(pid: int) -> list[str]:
    """The targets of a process's file descriptors."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(entry.readlink()))
    return found


def is_idle(pid: int) -> bool:
    """Whether a worker has started its event loop and sleeps in it."""
    asleep = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"
    return asleep and "anon_inode:[eventpoll]" in open_files(pid)


def stop(edge: Edge, number: signal.Signals = signal.SIGTERM) -> None:
    assert edge.process is not None
    edge.process.send_signal(number)


def assert_ended(edge: Edge) -> None:
    assert edge.process is not None
    assert edge.process.wait(20) == 0
    assert "SIGKILL" not in edge.log


def test_a_persistent_connection_gets_one_more_answer_with_connection_close(
    edge: Edge, connect: Connect
) -> None:
    courier = connect(edge)
    assert courier.post("evt_1").getheader("Connection") != "close"
    stop(edge)
    courier.post_until_the_last()
    assert courier.closed()
    assert_ended(edge)


def test_each_of_many_persistent_connections_gets_its_last_answer(
    edge: Edge, connect: Connect
) -> None:
    couriers = [connect(edge) for _ in range(6)]
    for n, courier in enumerate(couriers):
        assert courier.post(f"evt_{n}").status == 202
    stop(edge)
    couriers[0].post_until_the_last()
    for n, courier in enumerate(couriers[1:]):
        response = courier.post(f"evt_last_{n}")
        assert (response.status, response.getheader("Connection")) == (202, "close")
    assert_ended(edge)


def test_idle_connections_do_not_delay_a_stop_until_the_end_of_the_drain(
    edge: Edge, connect: Connect
) -> None:
    idle = connect(edge)
    assert idle.post("evt_1").status == 202
    silent = socket.create_connection(("127.0.0.1", edge.port), 20)
    partial = socket.create_connection(("127.0.0.1", edge.port), 20)
    partial.sendall(b"POST /v1/events/bench HTTP/1.1\r\nHost: x\r\n")
    # The earlier connections are accepted, too.
    assert connect(edge).post("evt_2").status == 202
    stop(edge)
    assert_ended(edge)
    assert idle.closed()
    silent.close()
    partial.close()


def test_a_quick_stop_is_clean(edge: Edge, connect: Connect) -> None:
    idle = connect(edge)
    assert idle.post("evt_1").status == 202
    stop(edge, signal.SIGINT)
    assert_ended(edge)


def test_a_worker_that_hangs_is_killed_at_the_end_of_the_drain(
    start_edge: StartEdge, own_redis: RedisServer
) -> None:
    edge = start_edge(own_redis.url, DRAIN_SECONDS="0")
    (worker,) = edge.workers()
    os.kill(worker, signal.SIGSTOP)
    stop(edge)
    assert edge.process is not None
    assert edge.process.wait(20) == 0


def test_a_draining_worker_does_not_consume_the_wake_up_for_a_new_connection(
    start_edge: StartEdge, own_redis: RedisServer, connect: Connect
) -> None:
    edge = start_edge(own_redis.url, DRAIN_SECONDS=LONG, WEB_CONCURRENCY="2")
    await_true(lambda: sum(map(is_idle, edge.workers())) == 2, 20, "both workers")
    couriers = [connect(edge) for _ in range(10)]
    for n, courier in enumerate(couriers):
        assert courier.post(f"evt_{n}").status == 202
    # The kernel wakes meinheld's workers round-robin, and always the same idle one of gthread's.
    other, draining = sorted(edge.workers(), key=lambda pid: len(open_files(pid)))

    def is_draining() -> bool:
        """Post until a worker answers as draining; other connections keep it alive for a while."""
        return any(probe.post("evt_0").getheader("Connection") == "close" for probe in couriers)

    stop(edge, signal.SIGSTOP)  # else the master starts another worker, which would accept
    try:
        os.kill(draining, signal.SIGTERM)
        await_true(is_draining, 20, "the last answer of a connection")
        await_true(lambda: is_idle(other) and is_idle(draining), 20, "both workers to be idle")
        for n in range(20):
            assert edge.post(event(f"evt_new_{n}")).status == 202
    finally:
        stop(edge, signal.SIGCONT)


def test_a_killed_worker_is_replaced_and_the_others_keep_serving(
    start_edge: StartEdge, own_redis: RedisServer
) -> None:
    edge = start_edge(own_redis.url, WEB_CONCURRENCY="2")
    await_true(lambda: len(edge.workers()) == 2, 20, "both workers")
    killed, other = sorted(edge.workers())
    os.kill(killed, signal.SIGKILL)
    await_true(lambda: len(set(edge.workers()) - {killed}) == 2, 20, "another worker")
    assert other in edge.workers()
    assert edge.post(event("evt_1")).status == 202
    assert "Traceback" not in edge.log
