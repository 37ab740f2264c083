"""A Redis that stalls or is slow: every process answers 503 in bounded time and recovers."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import falcon.testing
import pytest

from conf.settings import ROOT
from conf.sources.loader import load_sources
from gateway.edge.app import Deps, create_app
from gateway.edge.redis_circuit_breaker import PROBE_TIMEOUT_SECONDS
from scheduler.accept_command import Caps
from scheduler.producer import Producer
from tests.gateway.conftest import StartEdge
from tests.support.edge import Edge, Reply, bench_headers, event
from tests.support.redis_proxy import Proxy
from tests.support.servers import RedisServer, await_true

PROCESSES = 3
TIMEOUT_SECONDS = 0.5  # the setting REDIS_TIMEOUT_SECONDS
# On a busy machine; with one timeout per request it would be 8 s.
ANSWER_SECONDS_MAX = 10 * TIMEOUT_SECONDS
READY = "{gw:0}:ready:lookup:bench"

BUSY_LOOP = """
local function ms() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
local till = ms() + ARGV[1]
while ms() < till do end
"""


@pytest.fixture
def edge(start_edge: StartEdge, own_redis: RedisServer) -> Edge:
    return start_edge(own_redis.url, WEB_CONCURRENCY=str(PROCESSES))


def post_at_once(edge: Edge, ids: list[str]) -> list[Reply]:
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda id: edge.post(event(id)), ids))


@contextmanager
def stopped(redis: RedisServer) -> Iterator[None]:
    """Stop Redis, as a disk that does not answer does."""
    assert redis.process is not None
    redis.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        redis.process.send_signal(signal.SIGCONT)


@contextmanager
def busy(redis: RedisServer) -> Iterator[None]:
    """Run a script for 2 s; after 0.7 s Redis starts to answer BUSY."""
    redis.client().config_set("lua-time-limit", 700)
    running = threading.Thread(target=redis.client().eval, args=(BUSY_LOOP, 0, 2000))
    running.start()
    time.sleep(0.05)  # until it has begun, which Redis cannot report meanwhile
    try:
        yield
    finally:
        running.join()


Stall = Callable[[RedisServer], AbstractContextManager[None]]


@pytest.mark.parametrize("stall", [stopped, busy])
def test_every_process_answers_503_in_bounded_time_during_a_stall_and_recovers_after_it(
    edge: Edge, own_redis: RedisServer, stall: Stall
) -> None:
    ids = [f"evt_{n}" for n in range(48)]
    with stall(own_redis):
        replies = post_at_once(edge, ids)
        ready, alive = edge.get("/readyz"), edge.get("/healthz")
    assert {(reply.status, reply.problem) for reply in replies} == {(503, "unavailable")}
    assert {reply.headers["retry-after"] for reply in replies} == {"2"}
    # The first request of a process waits for Redis, and the following ones wait for the first.
    assert max(reply.seconds for reply in replies) < ANSWER_SECONDS_MAX
    assert (ready.status, ready.problem, alive.status) == (503, "not-ready", 200)
    assert ready.seconds < ANSWER_SECONDS_MAX

    def all_accepted() -> bool:
        return all(reply.status in (200, 202) for reply in post_at_once(edge, ids))

    await_true(all_accepted, 10, "all processes to recover")
    assert edge.get("/readyz").status == 200
    assert sorted(own_redis.client().lrange(READY, 0, -1)) == sorted(ids_of(ids))  # each once
    assert edge.log.count("Booting worker") == PROCESSES  # none was replaced


def edge_in_this_process(
    redis_url: str, timeout_seconds: float, clock_speed: float = 1
) -> Callable[[str], int]:
    """An edge in this process; returns a function that posts an event id. clock_speed: how much
    faster its clock runs."""
    sources = load_sources(ROOT / "conf" / "sources.toml", {}, "local")
    client = falcon.testing.TestClient(
        create_app(
            Deps(
                sources,
                lambda: Producer(redis_url, timeout_seconds, Caps(100, 10**6, 100)),
                10_000,
                clock=lambda: time.monotonic() * clock_speed,
            )
        )
    )
    return lambda id: int(
        client.simulate_post(
            "/v1/events/bench", body=event(id), headers=bench_headers(event(id))
        ).status_code
    )


def ids_of(names: list[str]) -> list[str]:
    return [f"bench:{name}" for name in names]


def test_an_event_that_a_stalled_redis_stores_late_is_a_duplicate_when_it_is_sent_again(
    own_redis: RedisServer,
) -> None:
    post = edge_in_this_process(own_redis.url, 0.3)
    assert post("evt_0") == 202  # opens its connection
    client = own_redis.client()
    with stopped(own_redis):
        assert post("evt_1") == 503
    await_true(lambda: client.exists("{gw:0}:event:bench:evt_1") == 1, 5, "the late write")
    resent: list[int] = []

    def accepted() -> bool:
        resent.append(post("evt_1"))
        return resent[-1] != 503

    await_true(accepted, 5)
    assert resent[-1] == 200
    assert client.lrange(READY, 0, -1) == ["bench:evt_1", "bench:evt_0"]
    assert client.hget("{gw:0}:stats", "accepted") == "2"


def test_a_redis_that_is_slower_than_a_short_probe_but_usable_is_used_again(
    own_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Proxy(own_redis.url, tmp_path_factory.mktemp("p")) as proxy:
        post = edge_in_this_process(proxy.url, 0.6, clock_speed=5)
        with stopped(own_redis):
            assert post("evt_1") == 503
        # Like a disk on which each flush takes that long.
        proxy.delay_seconds = 2 * PROBE_TIMEOUT_SECONDS
        await_true(lambda: post("evt_2") in (200, 202), 10, "recovery")


def test_unsigned_requests_cause_no_request_to_redis(edge: Edge, own_redis: RedisServer) -> None:
    client = own_redis.client()

    def commands() -> dict[str, int]:
        stats = client.info("commandstats")
        return {name: stat["calls"] for name, stat in stats.items() if name != "cmdstat_info"}

    edge.get("/readyz")
    assert post_at_once(edge, ["evt_1"] * 24)[0].status in (200, 202)
    before, changed = commands(), client.info("persistence")["aof_current_size"]
    forged: dict[str, str | None] = {"X_Signature": "sha256=" + "0" * 64}
    flood: list[dict[str, str | None]] = [
        {"X_Signature": None},
        {"X_Signature": "sha256=zz"},
        forged,
        {"Content_Type": "text/plain"},
    ]
    statuses = [
        edge.post(event("evt_new"), "bench", **headers).status
        for headers in flood
        for _ in range(60)
    ]
    assert set(statuses) == {401, 415}
    # Only announced: the edge closes without reading a body, so sending one would be reset.
    huge = forged | {"Content_Length": "9" * 9}
    assert {edge.post(b"", "bench", **huge).status for _ in range(60)} == {413}
    assert {edge.post(event("evt_new"), "unknown").status for _ in range(60)} == {404}
    assert {edge.get(path).status for path in ("/openapi.json", "/healthz", "/nothing")} == {
        200,
        404,
    }
    assert commands() == before
    assert client.info("persistence")["aof_current_size"] == changed


def test_many_readiness_requests_are_answered_from_memory(
    start_edge: StartEdge, own_redis: RedisServer
) -> None:
    edge, client = start_edge(own_redis.url), own_redis.client()

    def asked() -> int:
        return int(client.info("commandstats").get("cmdstat_zcard", {"calls": 0})["calls"])

    before, begin = asked(), time.monotonic()
    assert {edge.get("/readyz").status for _ in range(300)} == {200}
    assert asked() - before <= 4 * (time.monotonic() - begin) + 2
