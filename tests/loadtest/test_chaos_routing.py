"""The Routing Service of `make chaos` records each call with the process that made it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import urllib3

from loadtest.chaos.background import background
from loadtest.chaos.routing import RoutingService
from loadtest.harness.simulator import Simulator
from workers.errors import Transient
from workers.routing_client import RoutingClient, user_agent


@pytest.fixture
def service() -> Iterator[RoutingService]:
    with background() as loop:
        service = RoutingService()
        loop.run(service.start())
        Simulator(service.url).behave(latency_ms=0)
        yield service
        loop.run(service.stop())


def test_a_call_of_a_worker_is_recorded_with_its_outcome_and_its_pid(
    service: RoutingService,
) -> None:
    client = RoutingClient(service.url, 5, 1, user_agent("host/worker-routing_00", "b", 4711))
    client.route("bench:1", {})
    Simulator(service.url).behave(latency_ms=0, fail_ratio=1)
    with pytest.raises(Transient):
        client.route("bench:2", {})
    calls = [(call.key, call.outcome, call.pid) for call in service.calls]
    assert calls == [("bench:1", "routed", 4711), ("bench:2", "failed", 4711)]
    assert Simulator(service.url).routed() == {"bench:1": 1}


def test_a_caller_without_a_pid_has_none(service: RoutingService) -> None:
    headers = {"Idempotency-Key": "k", "User-Agent": "curl/8"}
    urllib3.request("POST", f"{service.url}/v1/routes", json={}, headers=headers)
    assert [call.pid for call in service.calls] == [0]
