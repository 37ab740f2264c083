"""Many connections to the edge's processes, and the effect of one bad connection on the others."""

from __future__ import annotations

import contextlib
import socket
import time

from tests.gateway.conftest import StartEdge
from tests.gateway.server.test_graceful_stop import is_idle, open_files
from tests.support.edge import Edge, event
from tests.support.persistent_connection import Connect
from tests.support.servers import RedisServer, await_true

PROCESSES = 4
EACH = 4


def sockets(edge: Edge) -> dict[int, int]:
    """Number of open sockets by worker."""
    return {
        pid: sum(name.startswith("socket:") for name in open_files(pid)) for pid in edge.workers()
    }


def test_persistent_connections_are_spread_over_the_processes(
    start_edge: StartEdge, http_redis: RedisServer, kind: str, connect: Connect
) -> None:
    edge = start_edge(http_redis.url, WEB_CONCURRENCY=str(PROCESSES))
    await_true(lambda: sum(map(is_idle, edge.workers())) == PROCESSES, 20, "all workers")
    before = sockets(edge)
    couriers = []
    for n in range(PROCESSES * EACH):
        couriers.append(connect(edge))
        assert couriers[-1].post(f"evt_{n}").status in (200, 202)
        await_true(lambda: all(map(is_idle, edge.workers())), 20, "all workers to be idle")
    # In addition each has at most one connection to Redis.
    gained = [count - before[pid] for pid, count in sockets(edge).items()]
    assert sum(gained) >= PROCESSES * EACH
    # Without sharing, one process had them all; gthread's threads serve many at once.
    if kind == "meinheld":
        assert max(gained) <= 2 * EACH, gained


def test_a_client_that_does_not_read_its_answers_delays_no_other_client(
    start_edge: StartEdge, http_redis: RedisServer
) -> None:
    edge = start_edge(http_redis.url)
    before = edge.workers()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", edge.port))
        client.setblocking(False)
        deadline = time.monotonic() + 20
        sent = 0
        while sent < 600 and time.monotonic() < deadline:  # the answers are 10 MB
            with contextlib.suppress(BlockingIOError):
                sent += client.send(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n") > 0
            assert edge.get("/healthz").seconds < 5
        assert edge.post(event("evt_1")).status in (200, 202)
        assert edge.workers() == before
