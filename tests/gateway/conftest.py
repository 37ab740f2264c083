"""Edges for the tests of this folder, one for each worker class that this Python can run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.edge import Edge, kinds
from tests.support.servers import RedisServer, redis_binaries

StartEdge = Callable[..., Edge]


@pytest.fixture(scope="session", params=kinds())
def kind(request: pytest.FixtureRequest) -> str:
    """The worker class: meinheld or gthread."""
    return str(request.param)


@pytest.fixture(scope="session")
def edge(
    kind: str, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Edge]:
    """One edge per session, worker class and Redis. Request ``store`` too for an empty Redis."""
    folder = tmp_path_factory.mktemp("edge")
    # After a timeout the circuit breaker would answer 503 to the next test.
    edge = Edge(folder, redis_server.url, kind, REDIS_TIMEOUT_SECONDS="10")
    try:
        yield edge.start()
    finally:
        edge.stop()


@pytest.fixture(scope="session")
def http_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis, for tests of HTTP, in which the version of Redis does not matter."""
    server = RedisServer(
        redis_binaries()[-1], tmp_path_factory.mktemp("redis"), "--appendfsync", "no"
    ).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def single_worker_edge(
    kind: str, http_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Edge]:
    """An edge with one worker, so that each request is served after the one before it."""
    edge = Edge(tmp_path_factory.mktemp("edge"), http_redis.url, kind, REDIS_TIMEOUT_SECONDS="10")
    try:
        yield edge.start()
    finally:
        edge.stop()


@pytest.fixture
def start_edge(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartEdge]:
    """Starts an edge for one test, with the given settings."""
    edges: list[Edge] = []

    def start(redis_url: str, **settings: str) -> Edge:
        edges.append(Edge(tmp_path_factory.mktemp("edge"), redis_url, kind, **settings))
        return edges[-1].start()

    yield start
    for edge in edges:
        edge.stop()


@pytest.fixture
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis for one test, which may kill, stop or reconfigure it."""
    server = RedisServer(redis_binaries()[-1], tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()
