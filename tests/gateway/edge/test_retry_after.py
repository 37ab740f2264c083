"""Retry-After of a full backlog, computed from a queue that drains."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import falcon.testing
import pytest

from conf.lifecycle import Stop
from conf.settings import ROOT, Settings
from conf.sources.loader import load_sources
from gateway.edge.app import Deps, create_app
from gateway.edge.event_resource import BACKLOG_RETRY_SECONDS_MAX
from scheduler.accept_command import Caps
from scheduler.connection import RedisConnection
from scheduler.producer import Producer
from scheduler.promoter import Promoter
from scheduler.queue import Queue
from tests.support.edge import bench_headers, event
from tests.support.queue_moves import accept
from tests.support.servers import RedisServer, await_true

STATS = "{gw:0}:stats"
CAPS = Caps(max_events=800, max_bytes=10**6, max_dead=100)
PER_SECOND = 10
REDIS_TIMEOUT_SECONDS = 20  # seconds for Redis on a busy machine


@pytest.fixture
def edge(own_redis: RedisServer) -> falcon.testing.TestClient:
    """An edge whose backlog is full."""
    own_redis.client().config_set("appendfsync", "no")  # faster
    queue = Queue(RedisConnection(own_redis.url, REDIS_TIMEOUT_SECONDS))
    for n in range(CAPS.max_events):
        accept(queue, f"bench:{n}", body=b"{}", caps=CAPS)
    queue.connection.close()
    sources = load_sources(ROOT / "conf" / "sources.toml", {}, "local")
    return falcon.testing.TestClient(
        create_app(
            Deps(sources, lambda: Producer(own_redis.url, REDIS_TIMEOUT_SECONDS, CAPS), 10_000)
        )
    )


@pytest.fixture
def draining(own_redis: RedisServer) -> Iterator[None]:
    """A worker that finishes PER_SECOND events a second, and a scheduler that measures the rate."""
    over = threading.Event()

    def work() -> None:
        queue = Queue(RedisConnection(own_redis.url, REDIS_TIMEOUT_SECONDS))
        scheduler = Promoter(Settings(redis_url=own_redis.url), 0, Stop())
        scheduler.step()
        while not over.wait(1 / PER_SECOND):
            for held in queue.reserve("lookup", 1, owner="h/w", boot="b", lease_seconds=15):
                queue.done(held, "recorded")
            scheduler.step()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    over.set()
    thread.join()


def retry_after_when_full(edge: falcon.testing.TestClient) -> int:
    """The Retry-After of the first event that is rejected because the backlog is full."""
    for n in range(1000):
        body = event(f"filler_{n}")
        reply = edge.simulate_post("/v1/events/bench", body=body, headers=bench_headers(body))
        if reply.status_code != 202:
            assert reply.json["type"] == "urn:fincart:problem:backlog-full"
            return int(reply.headers["retry-after"])
    raise AssertionError("never full")


@pytest.mark.usefixtures("draining")
def test_a_sender_that_waits_for_retry_after_finds_room_for_a_burst(
    edge: falcon.testing.TestClient, own_redis: RedisServer
) -> None:
    client = own_redis.client()

    def finished() -> int:
        return int(client.hget(STATS, "done") or 0)

    await_true(lambda: float(client.hget(STATS, "drain_per_second") or 0) > 0, 10)
    retry_after = retry_after_when_full(edge)
    begin, before = time.monotonic(), finished()
    await_true(lambda: finished() >= before + CAPS.max_events // 20, 30)
    took = time.monotonic() - begin
    # 4 s here; an average, rounded up to whole seconds.
    assert took / 2 <= retry_after <= 2 * took + 1


def test_retry_after_has_a_lower_and_an_upper_bound(
    edge: falcon.testing.TestClient, own_redis: RedisServer
) -> None:
    retry_after = {}
    for drain in ("0.00", "0.01", "1.00", "10.00", "1000000.00"):
        own_redis.client().hset(STATS, "drain_per_second", drain)
        retry_after[drain] = retry_after_when_full(edge)
    assert retry_after == {
        "0.00": BACKLOG_RETRY_SECONDS_MAX,  # not draining
        "0.01": BACKLOG_RETRY_SECONDS_MAX,  # 4,000 s, capped
        "1.00": 40,
        "10.00": 4,
        "1000000.00": 1,
    }
