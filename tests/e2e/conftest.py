"""One stack for all these tests, with short waits. Each test begins with empty stores, and its
counters must agree at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import urllib3

from gateway.stack.stack import Stack
from tests.support.running_gateway import WAIT_SECONDS, RunningGateway
from tests.support.servers import await_true

SETTINGS = {
    "ROUTINGSIM_LATENCY_MS": "50",
    "MAX_ATTEMPTS": "4",
    "RETRY_FLOOR_SECONDS": "0.05",
    "RETRY_BASE_SECONDS": "0.05",
    "RETRY_CAP_SECONDS": "0.2",
    "UNKNOWN_RETRY_SECONDS": "0.2",
    "UNKNOWN_SHIPMENT_SECONDS": "4",
    "LEASE_SECONDS": "5",
    "ROUTING_TIMEOUT_SECONDS": "5",
    "BREAKER_OPEN_SECONDS": "0.3",
    "WEB_CONCURRENCY": "1",
    "LOOKUP_PROCESSES": "1",
    "LOOKUP_THREADS": "8",
    "ROUTING_PROCESSES": "2",
    "ROUTING_THREADS": "8",
    "OPS_TOKEN": "operators-token",
}
WORKERS = {"worker-lookup_00", "worker-routing_00", "worker-routing_01"}


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with Stack.temporary(env=SETTINGS) as stack:
        await_true(lambda: answers(f"{stack.routing_url}/healthz"), WAIT_SECONDS, "the simulator")
        yield stack


def answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


@pytest.fixture
def gateway(stack: Stack) -> Iterator[RunningGateway]:
    """Empty stores, a Routing Service with its default behaviour and no call in flight, a closed
    circuit breaker, and every worker alive."""
    with RunningGateway(stack) as gateway:
        close_circuit(gateway)
        await_true(
            lambda: gateway.routing("in_flight") == 0, WAIT_SECONDS, "calls of an earlier test"
        )
        await_true(lambda: gateway.living_workers() == WORKERS, WAIT_SECONDS, "every worker")
        gateway.empty_stores()
        urllib3.request("DELETE", f"{stack.routing_url}/stats")
        yield gateway
        close_circuit(gateway)
        await_true(
            lambda: gateway.counters().unfinished == 0,
            WAIT_SECONDS,
            "an empty queue after the test",
        )
        gateway.assert_balanced()


def close_circuit(gateway: RunningGateway) -> None:
    """Restore the Routing Service and delete the breaker's state, so that no probes are needed."""
    gateway.behave()
    gateway.redis.delete("{gw:0}:breaker", "{gw:0}:probes")
