"""Fixtures shared by all tests: a private Redis of every installed version."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from redis import Redis

from scheduler.connection import RedisConnection
from scheduler.queue import Queue
from tests.support.servers import RedisServer, redis_binaries, running

# No example fails for being slow on a busy machine, and no run replays the failures of an earlier
# one: a failure prints what reproduces it.
settings.register_profile(
    "project",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
    print_blob=True,
)
settings.load_profile("project")
# For a search of hours: --hypothesis-profile=thorough
settings.register_profile("thorough", settings.get_profile("project"), max_examples=2000)


@pytest.fixture(scope="session", params=redis_binaries(), ids=lambda path: path.parts[-3])
def redis_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    """One server a session and version; tests get it empty through ``store`` and ``queue``."""
    server = RedisServer(request.param, tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture
def store(redis_server: RedisServer) -> Iterator[Redis]:
    """An ordinary client on the emptied server. A test that leaves its configuration changed fails
    itself, instead of a test after it."""
    client = redis_server.client()
    client.flushall()
    before: Any = client.config_get("*")
    yield client
    after: Any = client.config_get("*")
    changed = {name: value for name, value in before.items() if after[name] != value}
    for name, value in changed.items():
        client.config_set(name, value)
    client.close()
    assert not changed, "the test left the configuration of a shared Redis changed"


@pytest.fixture
def many_files() -> Iterator[int]:
    """Raise this process's limit of open files for one test; the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16_384 if hard == resource.RLIM_INFINITY else min(16_384, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield max(soft, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def queue(store: Redis, redis_server: RedisServer) -> Iterator[Queue]:
    """The queue under test."""
    queue = Queue(RedisConnection(redis_server.url))
    yield queue
    queue.connection.close()


@pytest.fixture(params=redis_binaries(), ids=lambda path: path.parts[-3])
def hasty_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    """A server that keeps nothing on disk, for tests of thousands of steps."""
    yield from running(request.param, tmp_path_factory.mktemp("hasty"), "--appendonly", "no")
