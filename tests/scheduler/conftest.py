"""The queue of these tests audits the whole store after each verb."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from scheduler.link import Link
from scheduler.queue import Queue
from tests.scheduler.audit import AuditedQueue
from tests.servers import RedisServer, redis_binaries


@pytest.fixture
def queue(store: Redis, redis_server: RedisServer) -> Iterator[Queue]:
    """The queue under test, audited."""
    queue = AuditedQueue(Link(redis_server.url), store)
    yield queue
    queue.link.close()


@pytest.fixture
def bare_queue(store: Redis, redis_server: RedisServer) -> Iterator[Queue]:
    """The queue without the audit, for stores that somebody's hand has been in."""
    queue = Queue(Link(redis_server.url))
    yield queue
    queue.link.close()


@pytest.fixture(params=redis_binaries(), ids=lambda path: path.parts[-3])
def own_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    """A server that the test may kill."""
    yield from _running(request.param, tmp_path_factory.mktemp("own"))


@pytest.fixture(params=redis_binaries(), ids=lambda path: path.parts[-3])
def hasty_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    """A server that keeps nothing on disk, for tests of thousands of steps."""
    yield from _running(request.param, tmp_path_factory.mktemp("hasty"), "--appendonly", "no")


@pytest.fixture(params=redis_binaries(), ids=lambda path: path.parts[-3])
def managed_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    """A server as managed services offer it: CONFIG is renamed away."""
    folder = tmp_path_factory.mktemp("managed")
    yield from _running(request.param, folder, "--rename-command", "CONFIG", "")


def _running(binary: Path, folder: Path, *options: str) -> Iterator[RedisServer]:
    server = RedisServer(binary, folder, *options).start()
    yield server
    server.stop()
