"""One world for the session: a Redis of one version (the scripts' meaning does not depend on it,
tests/scheduler shows that on all), a mongod whose commands can be made to fail, a simulator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crashpoints.environment import World
from tests.support.mongo_server import MongoServer
from tests.support.servers import RedisServer, redis_binaries
from tests.support.simulator import running


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    redis = RedisServer(redis_binaries()[-1], tmp_path_factory.mktemp("redis"))
    mongod = MongoServer(
        tmp_path_factory.mktemp("mongod"), "--setParameter", "enableTestCommands=1"
    )
    with running() as simulator:
        redis.start()
        mongod.start()
        world = World(redis, mongod, simulator, tmp_path_factory.mktemp("steps"))
        yield world
        world.close()
        mongod.stop()
        redis.stop()
