"""A mongod for the session with a new database for each test, a Redis and a Routing Service."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from pymongo.database import Database
from redis import Redis

from scheduler.connection import RedisConnection
from scheduler.queue import Queue
from tests.support import in_process_worker
from tests.support.mongo_server import MongoServer
from tests.support.samples import shipment
from tests.support.servers import RedisServer, await_true, redis_binaries
from tests.support.simulator import Simulator, running
from tests.support.worker_environment import MAX_CRASHES, SLOTS, WorkerEnvironment
from workers import mongo
from workers.ledger import Ledger
from workers.shipments import Shipments

Document = dict[str, Any]
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    server = MongoServer(tmp_path_factory.mktemp("mongod")).start()
    yield server
    server.stop()


@pytest.fixture
def database(mongod: MongoServer) -> Iterator[Database[Document]]:
    """An empty database with SHP-1 and its open order."""
    database = mongo.connect(f"{mongod.url}/test_{next(_numbers)}", 16)
    database["shipments"].insert_one(shipment())
    database["orders"].insert_one({"_id": "ORD-1", "merchant_id": "MER-1", "status": "open"})
    yield database
    database.client.drop_database(database.name)
    database.client.close()


@pytest.fixture
def ledger(database: Database[Document]) -> Ledger:
    return Ledger(database)


@pytest.fixture
def shipments(database: Database[Document]) -> Shipments:
    return Shipments(database)


@pytest.fixture(scope="session")
def _simulator() -> Iterator[Simulator]:
    with running() as simulator:
        yield simulator


@pytest.fixture
def simulator(_simulator: Simulator) -> Simulator:
    """With its default behaviour, no call in flight and counters at 0; no latency."""
    _simulator.behave()
    await_true(lambda: _simulator.stats()["in_flight"] == 0, 60, "no call of an earlier test")
    urllib3.request("DELETE", f"{_simulator.url}/stats")
    return _simulator


@pytest.fixture(scope="session")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(redis_binaries()[-1], tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture
def url(own_redis: RedisServer) -> Iterator[str]:
    if own_redis.process is None or own_redis.process.poll() is not None:
        own_redis.start()
    client = own_redis.client()
    client.flushall()
    client.close()
    yield own_redis.url
    in_process_worker.end_all()


@pytest.fixture
def environment(
    url: str,
    database: Database[Document],
    mongod: MongoServer,
    simulator: Simulator,
    tmp_path: Path,
) -> Iterator[WorkerEnvironment]:
    settings = {
        "REDIS_URL": url,
        "MONGO_URL": f"{mongod.url}/{database.name}",
        "ROUTING_URL": simulator.url,
        "LEASE_SECONDS": "3600",
        "MAX_CRASHES": str(MAX_CRASHES),
        "LOOKUP_THREADS": str(SLOTS),
        "ROUTING_THREADS": str(SLOTS),
    }
    redis = Redis.from_url(url, decode_responses=True, protocol=2)
    environment = WorkerEnvironment(
        redis, Queue(RedisConnection(url)), database, settings, tmp_path
    )
    yield environment
    for worker in environment.workers:
        worker.kill()
    environment.queue.connection.close()
    redis.close()
