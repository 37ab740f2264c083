"""Calls to the simulated Routing Service: which failures are transient, permanent, a pushback."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import urllib3
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from tests.support.simulator import Simulator
from workers.errors import Permanent, Transient
from workers.routing_client import (
    RETRY_AFTER_MAX_SECONDS,
    RoutingClient,
    read_retry_after,
    user_agent,
)

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.fixture
def client(simulator: Simulator) -> RoutingClient:
    return RoutingClient(simulator.url, 5, 4)


def failure(client: RoutingClient) -> Transient:
    with pytest.raises(Transient) as caught:
        client.route("bench:evt_1", {})
    return caught.value


def test_a_call_returns_a_route_for_the_event_s_id(
    client: RoutingClient, simulator: Simulator
) -> None:
    answer = client.route("bench:evt_1", {"shipment_id": "SHP-1"})
    assert answer["idempotency_key"] == "bench:evt_1"
    assert answer["route_id"]
    assert client.route("bench:evt_1", {}) == answer
    assert simulator.stats()["repeats"] == 1


@pytest.mark.parametrize(
    ("id", "key"),
    [
        ("bench:a b", "bench:a%20b"),
        ("bench:a%20b", "bench:a%2520b"),
        ("bench:شحنة", "bench:%D8%B4%D8%AD%D9%86%D8%A9"),
        ('bench:a"b/c,d;e', 'bench:a"b/c,d;e'),
    ],
)
def test_every_printable_id_can_be_a_key(client: RoutingClient, id: str, key: str) -> None:
    assert client.route(id, {})["idempotency_key"] == key


@given(
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=200),
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=200),
)
def test_two_ids_never_have_the_same_key(one: str, other: str) -> None:
    def key(id: str) -> str:
        sent: dict[str, Any] = {}

        class Pool:
            def request(self, *_: object, **kwargs: Any) -> None:
                sent.update(kwargs)
                raise urllib3.exceptions.HTTPError

        client = RoutingClient("http://nowhere", 1, 1)
        client._pool = Pool()  # type: ignore[assignment]
        with pytest.raises(Transient):
            client.route(id, {})
        return str(sent["headers"]["Idempotency-Key"])

    assert (key(one) == key(other)) is (one == other)
    assert key(one).isascii()


def test_ids_of_mongodb_are_sent_as_text(client: RoutingClient) -> None:
    assert client.route("bench:evt_1", {"order_id": ObjectId()})["route_id"]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 599])
def test_statuses_that_another_attempt_may_avoid_are_transient(
    client: RoutingClient, simulator: Simulator, status: int
) -> None:
    simulator.behave(fail_ratio=1, fail_status=status)
    error = failure(client)
    assert str(error) == f"status {status}"
    assert error.pushback is (status in (429, 503))
    assert error.retry_after_seconds == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 451])
def test_all_other_4xx_statuses_are_permanent(
    client: RoutingClient, simulator: Simulator, status: int
) -> None:
    simulator.behave(fail_ratio=1, fail_status=status)
    with pytest.raises(Permanent, match=f"^status {status}$"):
        client.route("bench:evt_1", {})


@pytest.mark.parametrize("status", [429, 503, 500])
def test_retry_after_is_passed_on(client: RoutingClient, simulator: Simulator, status: int) -> None:
    simulator.behave(fail_ratio=1, fail_status=status, retry_after=7)
    assert failure(client).retry_after_seconds == 7


def test_a_call_without_an_answer_is_transient_after_the_timeout_and_a_pushback(
    simulator: Simulator,
) -> None:
    simulator.behave(hang_ratio=1)
    began = time.monotonic()
    error = failure(RoutingClient(simulator.url, 0.2, 1))
    assert time.monotonic() - began >= 0.2
    assert str(error).startswith("timeout: ")
    assert error.pushback


@pytest.mark.parametrize("behaviour", ["reset_ratio", "garbage_ratio"])
def test_a_broken_reply_is_transient_and_no_pushback(
    client: RoutingClient, simulator: Simulator, behaviour: str
) -> None:
    simulator.behave(**{behaviour: 1})
    error = failure(client)
    assert str(error).startswith("broken: ")
    assert not error.pushback


def test_an_outage_is_transient(client: RoutingClient, simulator: Simulator) -> None:
    simulator.behave(outage=True)
    assert failure(client).pushback


def test_a_refused_connection_is_transient_and_no_pushback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    error = failure(RoutingClient(f"http://127.0.0.1:{port}", 5, 1))
    assert str(error) == "broken: NewConnectionError"
    assert not error.pushback


def test_the_client_never_repeats_a_call(client: RoutingClient, simulator: Simulator) -> None:
    for behaviour in ({"reset_ratio": 1}, {"fail_ratio": 1, "fail_status": 503, "retry_after": 1}):
        before = simulator.stats()["calls"]
        simulator.behave(**behaviour)
        failure(client)
        assert simulator.stats()["calls"] == before + 1


def test_after_any_failure_the_next_call_succeeds(
    client: RoutingClient, simulator: Simulator
) -> None:
    for behaviour in (
        {"reset_ratio": 1},
        {"garbage_ratio": 1},
        {"outage": True},
        {"fail_ratio": 1},
    ):
        simulator.behave(**behaviour)
        failure(client)
        simulator.behave()
        assert client.route("bench:evt_1", {})["idempotency_key"] == "bench:evt_1"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        ("5", 5),
        (" 5 ", 5),
        ("3600", 3600),
        ("86400", RETRY_AFTER_MAX_SECONDS),
        ("9" * 400, RETRY_AFTER_MAX_SECONDS),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("٥", 0),
        ("5, 7", 0),
        ("Mon, 23 Nov 2020 06:00:00 GMT", 0),
        ("Mon, 99 Nov 2020 06:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_MAX_SECONDS),
    ],
)
def test_retry_after_is_read_as_seconds_within_bounds(text: str | None, wanted: float) -> None:
    assert read_retry_after(text, NOW.timestamp()) == wanted


def test_retry_after_may_be_a_date() -> None:
    date = format_datetime(NOW + timedelta(minutes=10), usegmt=True)
    assert read_retry_after(date, NOW.timestamp()) == 600


@given(st.text())
def test_any_retry_after_gives_a_time_within_bounds(text: str) -> None:
    assert 0 <= read_retry_after(text, NOW.timestamp()) <= RETRY_AFTER_MAX_SECONDS


def test_the_user_agent_names_the_process_in_ascii() -> None:
    named = user_agent("höst (1)/worker-routing_00", "b0071d", 4711)
    assert named == (
        "fincart-gateway (h%C3%B6st%20%281%29/worker-routing_00; boot b0071d; pid 4711)"
    )
