"""A captured request that is sent again: the edge accepts it once while it is valid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import falcon.testing
import pytest
from redis import Redis

from conf.lifecycle import Stop
from conf.settings import ROOT, Settings
from conf.sources.loader import load_sources
from conf.sources.model import CLOCK_DIFFERENCE_SECONDS_MAX, Sources
from gateway.courier.signing import sign
from gateway.edge.app import Deps, create_app
from scheduler.accept_command import Caps
from scheduler.connection import RedisConnection
from scheduler.producer import Producer
from scheduler.promoter import Promoter
from scheduler.queue import Queue
from tests.support.edge import event
from tests.support.servers import RedisServer

TOLERANCE = 300
SIGNED_AT = 1_900_000_000

# Of the two sources one signs the id in a header, and the other has it in the body.
STRIPE_STYLE = """
[carrier]
preset = "stripe"
secrets_env = ["CARRIER_SECRET"]
demo_secret = "carrier-secret"
pointers = { event_id = "/id", shipment_id = "/shipment_id", status = "/status" }
statuses = "canonical"
"""


@dataclass
class Courier:
    """A courier, and an edge with a real Redis whose clock the test sets."""

    source: str
    edge: falcon.testing.TestClient
    clock: list[float]
    sources: Sources

    def signed(self, at: float) -> Callable[[], int]:
        """A function that sends a request signed at that time and returns the status."""
        body = event("evt_1")
        headers = sign(self.sources[self.source], "evt_1", body, at)
        headers["Content-Type"] = "application/json"
        return lambda: int(
            self.edge.simulate_post(
                f"/v1/events/{self.source}", body=body, headers=headers
            ).status_code
        )


@pytest.fixture(params=["standard", "carrier"])
def courier(
    request: pytest.FixtureRequest, redis_server: RedisServer, store: Redis, tmp_path: Path
) -> Courier:
    path = tmp_path / "sources.toml"
    path.write_text((ROOT / "conf" / "sources.toml").read_text() + STRIPE_STYLE)
    sources = load_sources(path, {}, "local")
    clock = [float(SIGNED_AT)]
    deps = Deps(
        sources,
        lambda: Producer(redis_server.url, 2, Caps(100, 10**6, 100)),
        10_000,
        now=lambda: clock[0],
    )
    return Courier(request.param, falcon.testing.TestClient(create_app(deps)), clock, sources)


@pytest.fixture
def forgetful(courier: Courier, redis_server: RedisServer) -> Promoter:
    """A scheduler that is configured to remember as little as possible."""
    settings = Settings(redis_url=redis_server.url, dedup_window_seconds=1, tombstones_max=0)
    return Promoter(settings, courier.sources.remember_at_least_seconds, Stop())


def finish(redis: RedisServer) -> None:
    """Finish the only event, as a worker does."""
    queue = Queue(RedisConnection(redis.url))
    [held] = queue.reserve("lookup", 1, owner="host/w", boot="b", lease_seconds=15)
    queue.done(held, "recorded")
    queue.connection.close()


def age(store: Redis, seconds: float) -> None:
    """Make all tombstones that much older."""
    done: Any = store.zrange("{gw:0}:done", 0, -1)
    for id in done:
        store.zincrby("{gw:0}:done", -seconds * 1000, id)


def test_a_captured_request_is_accepted_once_during_the_whole_time_in_which_it_is_valid(
    courier: Courier, forgetful: Promoter, redis_server: RedisServer, store: Redis
) -> None:
    captured = courier.signed(SIGNED_AT)
    courier.clock[0] = SIGNED_AT - TOLERANCE - 1
    assert captured() == 401
    courier.clock[0] += 1  # the courier's clock is ahead by the whole tolerance
    assert captured() == 202
    finish(redis_server)
    forgetful.step()
    assert captured() == 200
    for _ in range(6):
        courier.clock[0] += TOLERANCE / 3
        age(store, TOLERANCE / 3)
        forgetful.step()
        assert captured() == 200
    assert courier.clock[0] == SIGNED_AT + TOLERANCE
    courier.clock[0] += 1
    assert captured() == 401


def test_a_tombstone_is_trimmed_when_no_captured_request_can_be_valid_any_more(
    courier: Courier, forgetful: Promoter, redis_server: RedisServer, store: Redis
) -> None:
    courier.signed(SIGNED_AT)()
    finish(redis_server)
    age(store, 2 * TOLERANCE + CLOCK_DIFFERENCE_SECONDS_MAX - 2)
    forgetful.step()
    assert store.zcard("{gw:0}:done") == 1
    age(store, 2)
    forgetful.step()
    assert store.zcard("{gw:0}:done") == 0


@pytest.mark.parametrize("resent", ["while it waits", "when it is done"])
def test_an_event_that_the_courier_signs_again_is_a_duplicate(
    courier: Courier, redis_server: RedisServer, resent: str
) -> None:
    assert courier.signed(SIGNED_AT)() == 202
    if resent == "when it is done":
        finish(redis_server)
    courier.clock[0] += 7200
    assert courier.signed(courier.clock[0])() == 200


@pytest.mark.parametrize(
    ("off", "status"),
    [
        (-TOLERANCE - 0.001, 401),
        (-TOLERANCE, 202),
        (TOLERANCE, 202),
        (TOLERANCE + 0.001, 401),
    ],
)
def test_the_tolerance_before_the_signed_time_equals_the_one_after_it(
    courier: Courier, off: float, status: int
) -> None:
    courier.clock[0] = SIGNED_AT + off
    assert courier.signed(SIGNED_AT)() == status


def test_without_a_source_that_signs_a_time_no_minimum_is_needed() -> None:
    sources = load_sources(ROOT / "conf" / "sources.toml", None, "local")
    assert sources.remember_at_least_seconds == 2 * TOLERANCE + CLOCK_DIFFERENCE_SECONDS_MAX
    assert Sources({"bench": sources["bench"]}).remember_at_least_seconds == 0
