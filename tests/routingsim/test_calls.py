"""Calls to a real service: routes, keys, failures, and how they are counted."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

WaitFor = Callable[[str, str, int], None]
NO_RETRY = urllib3.Retry(0)
LATENCY_SECONDS = 0.05  # the shared service is started with it


def call(url: str, key: str, timeout_seconds: float = 30.0) -> urllib3.BaseHTTPResponse:
    headers = {"Idempotency-Key": key}
    return urllib3.request(
        "POST",
        f"{url}/v1/routes",
        headers=headers,
        json={},
        retries=NO_RETRY,
        timeout=timeout_seconds,
    )


def behave(url: str, **behaviour: Any) -> None:
    assert urllib3.request("PUT", f"{url}/behaviour", json=behaviour).status == 200


def counters(url: str) -> dict[str, int]:
    """The counters that are not zero."""
    stats: dict[str, int] = urllib3.request("GET", f"{url}/stats").json()
    return {name: value for name, value in stats.items() if value}


def keys(url: str) -> dict[str, int]:
    successes: dict[str, int] = urllib3.request("GET", f"{url}/stats/keys").json()
    return successes


def send_unread(url: str, key: str) -> socket.socket:
    """Send a call and read nothing; the caller closes the connection."""
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname, address.port), timeout=30)
    connection.sendall(
        f"POST /v1/routes HTTP/1.1\r\nHost: sim\r\nIdempotency-Key: {key}\r\n"
        "Content-Length: 0\r\n\r\n".encode()
    )
    return connection


def test_a_call_is_answered_with_a_route_after_the_latency(url: str) -> None:
    began = time.monotonic()
    response = call(url, "bench:evt_1")
    assert time.monotonic() - began >= LATENCY_SECONDS
    assert response.status == 200
    route = response.json()
    assert route["idempotency_key"] == "bench:evt_1"
    assert route["route_id"].startswith("rt_")
    assert route["hub"]
    assert route["carrier"]
    assert counters(url) == {"calls": 1, "succeeded": 1, "keys": 1, "max_concurrent": 1}


def test_a_repeated_key_takes_the_latency_and_gets_the_same_route(url: str) -> None:
    first = call(url, "k").json()
    began = time.monotonic()
    assert call(url, "k").json() == first
    assert time.monotonic() - began >= LATENCY_SECONDS
    assert call(url, "another").json()["route_id"] != first["route_id"]
    assert keys(url) == {"k": 2, "another": 1}
    assert counters(url)["repeats"] == 1


def test_a_key_repeated_at_the_same_time_gets_the_same_route(url: str) -> None:
    behave(url, latency_ms=500)
    with ThreadPoolExecutor(8) as pool:
        routes = list(pool.map(lambda _: call(url, "k").json(), range(8)))
    assert routes == [routes[0]] * 8
    assert keys(url) == {"k": 8}
    assert counters(url)["repeats"] == 7


def test_a_route_stays_the_same_after_a_reset_of_the_counters(url: str) -> None:
    first = call(url, "k").json()
    assert urllib3.request("DELETE", f"{url}/stats").status == 204
    assert counters(url) == {}
    assert keys(url) == {}
    assert call(url, "k").json() == first
    assert "repeats" not in counters(url)


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": ""}, {"Idempotency-Key": "  "}])
def test_a_call_without_a_key_is_a_problem_and_not_counted(
    url: str, headers: dict[str, str]
) -> None:
    response = urllib3.request("POST", f"{url}/v1/routes", headers=headers, json={})
    assert response.status == 400
    assert response.headers["Content-Type"].startswith("application/problem+json")
    assert "Idempotency-Key" in response.json()["detail"]
    assert counters(url) == {}


def test_a_key_is_the_same_in_either_encoding_of_header_bytes(url: str) -> None:
    for encoding in ("utf-8", "latin-1"):
        connection = http.client.HTTPConnection(url.removeprefix("http://"))
        connection.putrequest("POST", "/v1/routes")
        connection.putheader("Idempotency-Key", "café".encode(encoding))
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        assert connection.getresponse().status == 200
        connection.close()
    assert keys(url) == {"café": 2}


def test_the_first_calls_of_a_key_fail_with_the_status_and_retry_after(url: str) -> None:
    behave(url, latency_ms=50, fail_first=1, fail_status=429, retry_after=7)
    began = time.monotonic()
    refused = call(url, "k")
    assert time.monotonic() - began >= 0.05
    assert (refused.status, refused.headers["Retry-After"]) == (429, "7")
    assert call(url, "k").status == 200
    assert counters(url) == {
        "calls": 2, "succeeded": 1, "failed": 1, "keys": 1, "max_concurrent": 1
    }  # fmt: skip


def test_there_is_no_retry_after_by_default(url: str) -> None:
    behave(url, latency_ms=0, fail_ratio=1)
    response = call(url, "k")
    assert response.status == 500
    assert "Retry-After" not in response.headers
    assert keys(url) == {"k": 0}


def test_an_outage_fails_at_once(url: str) -> None:
    behave(url, latency_ms=3_600_000, outage=True)
    assert call(url, "k").status == 503
    assert counters(url) == {"calls": 1, "failed": 1, "keys": 1}


def test_calls_beyond_the_capacity_fail_at_once(url: str, wait_for: WaitFor) -> None:
    behave(url, latency_ms=3_600_000, capacity=2)
    held = [send_unread(url, f"held-{number}") for number in range(2)]
    wait_for(url, "in_flight", 2)
    assert call(url, "k").status == 503
    for connection in held:
        connection.close()
    wait_for(url, "in_flight", 0)
    assert counters(url) == {
        "calls": 3,
        "failed": 3,
        "abandoned": 2,
        "keys": 3,
        "max_concurrent": 2,
    }


def test_a_call_whose_client_disconnects_is_counted_as_failed(url: str, wait_for: WaitFor) -> None:
    behave(url, latency_ms=3_600_000)
    connection = send_unread(url, "k")
    wait_for(url, "in_flight", 1)
    connection.close()
    wait_for(url, "abandoned", 1)
    assert keys(url) == {"k": 0}
    behave(url)
    assert call(url, "k").status == 200
    assert counters(url) == {
        "calls": 2, "succeeded": 1, "failed": 1, "abandoned": 1, "keys": 1, "max_concurrent": 1
    }  # fmt: skip


def test_a_hanging_call_is_never_answered(url: str, wait_for: WaitFor) -> None:
    behave(url, latency_ms=0, hang_ratio=1)
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        call(url, "k", timeout_seconds=0.3)
    wait_for(url, "abandoned", 1)
    assert counters(url) == {
        "calls": 1,
        "failed": 1,
        "abandoned": 1,
        "keys": 1,
        "max_concurrent": 1,
    }


def test_a_reset_is_a_reset_and_not_an_orderly_close(url: str) -> None:
    behave(url, latency_ms=50, reset_ratio=1)
    connection = send_unread(url, "k")
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    connection.close()
    assert counters(url) == {"calls": 1, "failed": 1, "keys": 1, "max_concurrent": 1}


def test_garbage_is_not_http_and_closes_the_connection(url: str) -> None:
    behave(url, latency_ms=50, garbage_ratio=1)
    with send_unread(url, "k") as connection, connection.makefile("rb") as stream:
        received = stream.read()
    assert received
    assert b"HTTP/" not in received
    with pytest.raises(urllib3.exceptions.ProtocolError):
        call(url, "k")
    assert counters(url) == {"calls": 2, "failed": 2, "keys": 1, "max_concurrent": 1}


def test_a_call_that_arrived_before_a_reset_is_not_counted_after_it(
    url: str, wait_for: WaitFor
) -> None:
    behave(url, latency_ms=500)
    with send_unread(url, "k") as connection:
        wait_for(url, "in_flight", 1)
        urllib3.request("DELETE", f"{url}/stats")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    wait_for(url, "in_flight", 0)
    assert counters(url) == {}


def test_a_wrong_behaviour_is_rejected_by_name_and_changes_nothing(url: str) -> None:
    behave(url, fail_first=3)
    before = urllib3.request("GET", f"{url}/behaviour").json()
    response = urllib3.request("PUT", f"{url}/behaviour", json={"outage": True, "latenzy": 1})
    assert response.status == 400
    assert "latenzy" in response.json()["detail"]
    assert urllib3.request("GET", f"{url}/behaviour").json() == before
    assert before["fail_first"] == 3


def test_an_unnamed_latency_goes_back_to_what_the_process_was_started_with(url: str) -> None:
    behave(url, latency_ms=7)
    behave(url, fail_first=1)
    shown = urllib3.request("GET", f"{url}/behaviour").json()
    assert (shown["latency_ms"], shown["fail_first"]) == (50, 1)
