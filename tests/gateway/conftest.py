"""Edges for the tests of this folder, one of each kind that this Python can run."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

import pytest

from tests.gateway.edge import Edge
from tests.servers import RedisServer, redis_binaries

StartEdge = Callable[..., Edge]


def _kinds() -> list[str]:
    try:
        importlib.import_module("meinheld.gmeinheld")
    except Exception:  # as conf/gunicorn.py: no module, or one that this Python cannot load
        return ["gthread"]
    return ["meinheld", "gthread"]


@pytest.fixture(scope="session", params=_kinds())
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of worker."""
    return str(request.param)


@pytest.fixture(scope="session")
def edge(kind: str, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
         ) -> Iterator[Edge]:
    """One edge a session, kind and Redis; take ``store`` beside it for an empty Redis."""
    edge = Edge(tmp_path_factory.mktemp("edge"), redis_server.url, kind)
    try:
        yield edge.start()
    finally:
        edge.stop()


@pytest.fixture
def start_edge(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartEdge]:
    """Start an edge of one's own, with settings."""
    edges: list[Edge] = []

    def start(redis_url: str, **settings: str) -> Edge:
        edges.append(Edge(tmp_path_factory.mktemp("edge"), redis_url, kind, **settings))
        return edges[-1].start()

    yield start
    for edge in edges:
        edge.stop()


@pytest.fixture
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis to be hurt."""
    server = RedisServer(redis_binaries()[-1], tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()
