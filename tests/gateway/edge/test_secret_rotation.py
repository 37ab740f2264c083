"""Operators see which of a source's live secrets are still in use."""

from __future__ import annotations

import hashlib
import hmac
import time

import falcon.testing
import pytest
from redis import Redis

from conf.settings import ROOT, Settings
from conf.sources.loader import load_sources
from gateway.cli.status import lines
from gateway.edge.app import Deps, create_app
from gateway.ops.app import create_app as create_ops_app
from scheduler.accept_command import Caps
from scheduler.connection import RedisConnection
from scheduler.inspector import Inspector
from scheduler.producer import Producer
from tests.support.edge import event
from tests.support.servers import RedisServer

STATS = "{gw:0}:stats"
OLD, NEW = b"the secret of last year", b"the secret of this year"


Edge = falcon.testing.TestClient


def post(edge: Edge, id: str, secret: bytes) -> int:
    body = event(id)
    signature = f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"
    return int(
        edge.simulate_post(
            "/v1/events/bench",
            body=body,
            headers={"Content-Type": "application/json", "X-Signature": signature},
        ).status_code
    )


def edge_with(redis: RedisServer, **secrets: str) -> Edge:
    sources = load_sources(ROOT / "conf" / "sources.toml", secrets, "local")
    caps = Caps(4, 10**6, 100)
    return Edge(create_app(Deps(sources, lambda: Producer(redis.url, 2, caps), 10_000)))


@pytest.fixture
def edge(redis_server: RedisServer, store: Redis) -> Edge:
    """An edge with two live secrets, as during a rotation."""
    return edge_with(redis_server, BENCH_SECRET=NEW.decode(), BENCH_SECRET_PREVIOUS=OLD.decode())


def status(redis: RedisServer) -> list[list[str]]:
    """The rows about secrets, as ``python -m gateway status`` prints them."""
    connection = RedisConnection(redis.url)
    printed = lines(Inspector(connection), Settings())
    connection.close()
    head = next(n for n, line in enumerate(printed) if "last matched" in line)
    return [line.split(maxsplit=3) for line in printed[head + 1 :] if line]


def metrics(redis: RedisServer) -> dict[str, float]:
    """The samples about secrets in /metrics."""
    client = falcon.testing.TestClient(create_ops_app(redis.url, "operators-token"))
    reply = client.simulate_get("/metrics", headers={"Authorization": "Bearer operators-token"})
    samples = [line.rsplit(" ", 1) for line in reply.text.splitlines() if "{source=" in line]
    return {name: float(value) for name, value in samples if name.startswith("gateway_secret")}


def test_each_secret_has_a_count_and_the_time_of_its_last_signature(
    edge: Edge, redis_server: RedisServer, store: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    begin = time.time()
    statuses = [post(edge, "evt_1", OLD), post(edge, "evt_1", OLD), post(edge, "evt_2", NEW)]
    assert statuses == [202, 200, 202]
    assert post(edge, "evt_3", b"an unknown secret") == 401
    samples = metrics(redis_server)
    labels = '{source="bench",secret="BENCH_SECRET%s"}'
    assert samples["gateway_secret_matched_total" + labels % ""] == 1
    assert samples["gateway_secret_matched_total" + labels % "_PREVIOUS"] == 2
    for variable in ("", "_PREVIOUS"):
        seen = samples["gateway_secret_last_matched_timestamp_seconds" + labels % variable]
        assert begin - 0.1 <= seen <= time.time() + 0.1
    assert [row[:3] for row in status(redis_server)] == [
        ["bench", "BENCH_SECRET", "1"],
        ["bench", "BENCH_SECRET_PREVIOUS", "2"],
    ]
    text = repr(store.hgetall(STATS)) + caplog.text
    assert OLD.decode() not in text
    assert NEW.decode() not in text


def test_the_status_shows_how_long_an_old_secret_has_not_been_used(
    edge: Edge, redis_server: RedisServer, store: Redis
) -> None:
    post(edge, "evt_1", OLD)
    name = "bench:BENCH_SECRET_PREVIOUS"
    store.hset(
        STATS,
        mapping={f"secret:{name}": 1204, f"seen:{name}": int((time.time() - 3 * 3600) * 1000)},
    )
    assert status(redis_server) == [["bench", "BENCH_SECRET_PREVIOUS", "1204", "3 h ago"]]


@pytest.mark.parametrize("answer", ["duplicate", "backlog full"])
def test_a_secret_counts_as_used_for_rejected_and_duplicate_events_too(
    edge: Edge, store: Redis, answer: str
) -> None:
    for n in range(4):
        post(edge, f"evt_{n}", NEW)
    expected = {"duplicate": ("evt_0", 200), "backlog full": ("evt_9", 503)}
    id, code = expected[answer]
    assert post(edge, id, OLD) == code
    assert store.hget(STATS, "secret:bench:BENCH_SECRET_PREVIOUS") == "1"
    assert store.hexists(STATS, "seen:bench:BENCH_SECRET_PREVIOUS")


def test_a_removed_secret_is_rejected_and_its_count_stays(
    edge: Edge, redis_server: RedisServer
) -> None:
    post(edge, "evt_1", OLD)
    later = edge_with(redis_server, BENCH_SECRET=NEW.decode())
    assert post(later, "evt_2", OLD) == 401
    assert post(later, "evt_2", NEW) == 202
    assert [row[1:3] for row in status(redis_server)] == [
        ["BENCH_SECRET", "1"],
        ["BENCH_SECRET_PREVIOUS", "1"],
    ]
