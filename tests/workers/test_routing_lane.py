"""The routing lane on a real MongoDB: one call, its answer on the shipment, the ledger closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from pymongo.database import Database

from tests.support.crashing_lanes import (
    ANSWER,
    FakeRoutingClient,
    Killed,
    StoreCalls,
    lookup_lane,
    routing_lane,
)
from tests.support.samples import RECEIVED, body, job, reserved, shipment
from workers.errors import (
    AlreadyDone,
    FenceRaised,
    LostFence,
    Permanent,
    StoreUnavailable,
    Transient,
)
from workers.jobs import Job
from workers.ledger import Ledger
from workers.results import Bury, Defer, Done, Result
from workers.shipments import Shipments

Document = dict[str, Any]
Handle = Callable[[Job, FakeRoutingClient], Result]
OCCURRED = RECEIVED.replace(hour=5)


@pytest.fixture
def handle(database: Database[Document]) -> Handle:
    """The routing lane's ``handle``, after the lookup lane has forwarded bench:evt_1."""
    lookup_lane(database).handle(job())
    return lambda job, client: routing_lane(database, client).handle(job)


def routing_job(fence: int = 101, route: bytes = b"", raw: bytes = body()) -> Job:
    return job(lane="routing", fence=fence, route=route, body=raw)


def stored(database: Database[Document]) -> tuple[Document, Document]:
    """The shipment and the ledger document, without the times of writing."""
    entry = database["events"].find_one({"_id": "bench:evt_1"}) or {}
    for name in ("applied_at", "done_at"):
        entry.pop(name, None)
    return database["shipments"].find_one({"_id": "SHP-1"}) or {}, entry


def test_the_answer_is_put_on_the_shipment_and_the_ledger_is_closed(
    database: Database[Document], handle: Handle
) -> None:
    client = FakeRoutingClient()
    assert handle(routing_job(), client) == Done("routed")
    assert client.calls == [
        (
            "bench:evt_1",
            {
                "event_id": "bench:evt_1",
                "shipment_id": "SHP-1",
                "status": "delivery_failed",
                "occurred_at": "2026-11-23T05:00:00+00:00",
                "order_id": "ORD-1",
                "merchant_id": "MER-1",
            },
        )
    ]
    found, entry = stored(database)
    assert found == shipment(
        status="delivery_failed",
        last_event_at=OCCURRED,
        events_applied=1,
        recent_events=["bench:evt_1"],
        route={
            "event_id": "bench:evt_1",
            "status": "delivery_failed",
            "occurred_at": OCCURRED,
            "answer": ANSWER,
        },
    )
    assert (entry["state"], entry["outcome"], entry["route"]) == ("done", "routed", ANSWER)


def test_the_route_of_a_later_event_is_not_replaced(
    database: Database[Document], handle: Handle
) -> None:
    later = {"event_id": "bench:later", "occurred_at": RECEIVED, "answer": {}}
    database["shipments"].update_one({"_id": "SHP-1"}, {"$set": {"route": later}})
    assert handle(routing_job(), FakeRoutingClient()) == Done("route_superseded")
    assert stored(database)[0]["route"] == later
    assert stored(database)[1]["route"] == ANSWER


@pytest.mark.parametrize(
    "failure", [Transient("status 500"), Permanent("status 400"), RuntimeError("a bug")]
)
def test_a_failed_call_changes_nothing_but_the_fence(
    database: Database[Document], handle: Handle, failure: Exception
) -> None:
    before = stored(database)
    with pytest.raises(type(failure)):
        handle(routing_job(), FakeRoutingClient(failure=failure))
    after = stored(database)
    assert after[0] == before[0]
    assert after[1] == before[1] | {"fence": 101}


def test_an_answer_that_could_not_be_recorded_is_carried_and_not_asked_for_again(
    database: Database[Document], handle: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: object) -> bool:
        raise StoreUnavailable("AutoReconnect")

    with monkeypatch.context() as patch:
        patch.setattr(Shipments, "set_route", unavailable)
        result = handle(routing_job(), FakeRoutingClient())
    assert isinstance(result, Defer)
    assert (result.reason, orjson.loads(result.route)) == ("route_not_recorded", ANSWER)
    second = FakeRoutingClient(failure=AssertionError("a second call"))
    assert handle(routing_job(102, result.route), second) == Done("routed")
    assert stored(database)[0]["route"]["answer"] == ANSWER


@pytest.mark.parametrize("carried", [b"{", b"[]", b"null", b"\xff"])
def test_a_carried_answer_that_cannot_be_read_is_asked_for_again(
    handle: Handle, carried: bytes
) -> None:
    client = FakeRoutingClient()
    assert handle(routing_job(route=carried), client) == Done("routed")
    assert len(client.calls) == 1


def test_an_event_whose_shipment_was_deleted_is_dead_lettered_without_a_call(
    database: Database[Document], handle: Handle
) -> None:
    database["shipments"].delete_many({})
    client = FakeRoutingClient()
    assert handle(routing_job(), client) == Bury("shipment_gone", "shipment SHP-1 was deleted")
    assert client.calls == []


def test_a_malformed_event_is_dead_lettered_without_a_call(handle: Handle) -> None:
    client = FakeRoutingClient()
    result = handle(routing_job(raw=b"{}"), client)
    assert isinstance(result, Bury)
    assert result.reason == "malformed"
    assert client.calls == []


def test_an_event_whose_status_is_ignored_since_it_was_forwarded_is_closed_without_a_call(
    database: Database[Document], handle: Handle
) -> None:
    client = FakeRoutingClient()
    raw = orjson.dumps({"result": {"status": "unknown", "tracking_code": "SHP-1"}})
    before = stored(database)[0]
    result = handle(job(lane="routing", fence=101, body=raw, source="easypost"), client)
    assert result == Done("ignored")
    assert client.calls == []
    found, entry = stored(database)
    assert found == before
    assert (entry["state"], entry["outcome"]) == ("done", "ignored")
    assert entry["decision"]["route"] is True  # the decision that was applied stays in the ledger


def test_no_call_is_made_for_a_done_event(handle: Handle) -> None:
    handle(routing_job(), FakeRoutingClient())
    client = FakeRoutingClient()
    with pytest.raises(AlreadyDone):
        handle(routing_job(102), client)
    assert client.calls == []


def test_a_holder_with_a_lower_fence_makes_no_call(handle: Handle, ledger: Ledger) -> None:
    ledger.claim(reserved(fence=200), {})
    client = FakeRoutingClient()
    with pytest.raises(FenceRaised):
        handle(routing_job(199), client)
    assert client.calls == []


def test_a_holder_that_lost_its_lock_during_its_call_cannot_close_the_ledger(
    database: Database[Document], handle: Handle
) -> None:
    def take_over() -> None:
        assert handle(routing_job(102), FakeRoutingClient()) == Done("routed")

    with pytest.raises(LostFence):
        handle(routing_job(101), FakeRoutingClient({"route_id": "rt_2"}, during=take_over))
    assert stored(database)[1]["route"] == ANSWER


@pytest.mark.parametrize("takes_effect", [False, True], ids=["before", "after"])
def test_a_kill_at_any_store_call_does_not_change_the_end(
    database: Database[Document], handle: Handle, takes_effect: bool
) -> None:
    before = stored(database)
    calls = StoreCalls()
    routing_lane(database, FakeRoutingClient(), calls).handle(routing_job())
    expected, entry = stored(database)
    assert calls.names == ["find", "claim", "set_route", "close"]
    for allowed, name in enumerate(calls.names):
        database["shipments"].replace_one({"_id": "SHP-1"}, before[0])
        database["events"].replace_one({"_id": "bench:evt_1"}, before[1])
        second = FakeRoutingClient()
        killed = routing_lane(database, FakeRoutingClient(), StoreCalls(allowed, takes_effect))
        with pytest.raises(Killed):
            killed.handle(routing_job())
        if name == "close" and takes_effect:
            with pytest.raises(AlreadyDone):
                handle(routing_job(102), second)
            assert stored(database) == (expected, entry)
        else:
            assert handle(routing_job(102), second) == Done("routed")
            assert stored(database) == (expected, entry | {"fence": 102})
        recorded = name == "close" or (name == "set_route" and takes_effect)
        assert len(second.calls) == (0 if recorded else 1), f"killed at {name}"
