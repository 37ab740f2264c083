"""The queue of these tests audits the whole store after each verb."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from scheduler.connection import RedisConnection
from scheduler.queue import Queue
from tests.support.servers import RedisServer, redis_binaries, running
from tests.support.store_audit import AuditedQueue


@pytest.fixture
def queue(store: Redis, redis_server: RedisServer) -> Iterator[Queue]:
    """The queue under test, audited."""
    queue = AuditedQueue(RedisConnection(redis_server.url), store)
    yield queue
    queue.connection.close()


@pytest.fixture
def bare_queue(store: Redis, redis_server: RedisServer) -> Iterator[Queue]:
    """The queue without the audit, for stores that the test corrupts."""
    queue = Queue(RedisConnection(redis_server.url))
    yield queue
    queue.connection.close()


@pytest.fixture(params=redis_binaries(), ids=lambda path: path.parts[-3])
def own_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    """A server that the test may kill."""
    yield from running(request.param, tmp_path_factory.mktemp("own"))


@pytest.fixture(params=redis_binaries(), ids=lambda path: path.parts[-3])
def managed_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    """A server as managed services offer it: without CONFIG."""
    folder = tmp_path_factory.mktemp("managed")
    yield from running(request.param, folder, "--rename-command", "CONFIG", "")
