"""One environment for the session: a Redis (one version suffices, because tests/scheduler runs the
scripts on all), a mongod whose commands can be made to fail, and a Routing Service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crashpoints.environment import Environment
from tests.support.mongo_server import MongoServer
from tests.support.servers import RedisServer, redis_binaries
from tests.support.simulator import running


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    redis = RedisServer(redis_binaries()[-1], tmp_path_factory.mktemp("redis"))
    mongod = MongoServer(
        tmp_path_factory.mktemp("mongod"), "--setParameter", "enableTestCommands=1"
    )
    with running() as simulator:
        redis.start()
        mongod.start()
        environment = Environment(redis, mongod, simulator, tmp_path_factory.mktemp("crashpoints"))
        yield environment
        environment.close()
        mongod.stop()
        redis.stop()
