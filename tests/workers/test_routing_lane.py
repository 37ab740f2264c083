"""The routing lane on a real MongoDB: one call, its answer on the shipment, the ledger closed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pymongo.database import Database

from scheduler.events import Reserved
from tests.support.crashing_holder import Killed, Life, lookup_lane, routing_lane
from tests.support.samples import RECEIVED, body, reserved, shipment
from workers.errors import (
    AlreadyDone,
    FenceRaised,
    LostFence,
    Permanent,
    StoreUnavailable,
    Transient,
)
from workers.ledger import Ledger
from workers.results import Bury, Defer, Done
from workers.routing_lane import RoutingLane
from workers.shipments import Shipments

Document = dict[str, Any]
ANSWER = {"route_id": "rt_1", "hub": "CAI"}
OCCURRED = RECEIVED.replace(hour=5)


class Service:
    """Answers ``ANSWER`` and keeps the calls; or fails."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.calls: list[tuple[str, Document]] = []
        self._failure = failure

    def __call__(self, key: str, request: Document) -> Document:
        self.calls.append((key, request))
        if self._failure:
            raise self._failure
        return ANSWER


@pytest.fixture
def lane(database: Database[Document]) -> RoutingLane:
    """After the lookup lane is through with bench:evt_1."""
    lookup_lane(database).handle(reserved())
    return routing_lane(database)


def event(fence: int = 101, route: bytes = b"", raw: bytes = body()) -> Reserved:
    return reserved(lane="routing", fence=fence, route=route, body=raw)


def stored(database: Database[Document]) -> tuple[Document, Document]:
    entry = database["events"].find_one({"_id": "bench:evt_1"}) or {}
    for name in ("applied_at", "done_at"):
        entry.pop(name, None)
    return database["shipments"].find_one({"_id": "SHP-1"}) or {}, entry


def test_the_answer_is_put_on_the_shipment_and_the_ledger_is_closed(
    database: Database[Document], lane: RoutingLane
) -> None:
    service = Service()
    assert lane.handle(event(), service) == Done("routed")
    assert service.calls == [
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


def test_a_route_that_a_later_event_has_set_stays(
    database: Database[Document], lane: RoutingLane
) -> None:
    later = {"event_id": "bench:later", "occurred_at": RECEIVED, "answer": {}}
    database["shipments"].update_one({"_id": "SHP-1"}, {"$set": {"route": later}})
    assert lane.handle(event(), Service()) == Done("route_superseded")
    assert stored(database)[0]["route"] == later
    assert stored(database)[1]["route"] == ANSWER


@pytest.mark.parametrize(
    "failure", [Transient("status 500"), Permanent("status 400"), RuntimeError("a fault of ours")]
)
def test_a_call_that_fails_leaves_everything_as_it_was(
    database: Database[Document], lane: RoutingLane, failure: Exception
) -> None:
    before = stored(database)
    with pytest.raises(type(failure)):
        lane.handle(event(), Service(failure))
    after = stored(database)
    assert after[0] == before[0]
    assert after[1] == before[1] | {"fence": 101}


def test_an_answer_that_could_not_be_recorded_is_carried_and_not_asked_for_again(
    database: Database[Document], lane: RoutingLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> bool:
        raise StoreUnavailable("AutoReconnect")

    with monkeypatch.context() as patch:
        patch.setattr(Shipments, "set_route", away)
        result = lane.handle(event(), Service())
    assert isinstance(result, Defer)
    assert (result.reason, orjson.loads(result.route)) == ("route_not_recorded", ANSWER)
    never = Service(AssertionError("it was answered already"))
    assert lane.handle(event(102, result.route), never) == Done("routed")
    assert stored(database)[0]["route"]["answer"] == ANSWER


@pytest.mark.parametrize("carried", [b"{", b"[]", b"null", b"\xff"])
def test_a_carried_answer_that_cannot_be_read_is_asked_for_again(
    lane: RoutingLane, carried: bytes
) -> None:
    service = Service()
    assert lane.handle(event(route=carried), service) == Done("routed")
    assert len(service.calls) == 1


def test_a_shipment_that_was_deleted_meanwhile_buries_the_event_without_a_call(
    database: Database[Document], lane: RoutingLane
) -> None:
    database["shipments"].delete_many({})
    service = Service()
    assert lane.handle(event(), service) == Bury("shipment_gone", "shipment SHP-1 was deleted")
    assert service.calls == []


def test_a_malformed_event_is_buried_without_a_call(lane: RoutingLane) -> None:
    service = Service()
    result = lane.handle(event(raw=b"{}"), service)
    assert isinstance(result, Bury)
    assert result.reason == "malformed"
    assert service.calls == []


def test_a_status_that_was_set_to_ignored_meanwhile_is_closed_without_a_call(
    database: Database[Document], lane: RoutingLane
) -> None:
    service = Service()
    raw = orjson.dumps({"result": {"status": "unknown", "tracking_code": "SHP-1"}})
    before = stored(database)[0]
    result = lane.handle(reserved(lane="routing", fence=101, body=raw, source="easypost"), service)
    assert result == Done("ignored")
    assert service.calls == []
    found, entry = stored(database)
    assert found == before
    assert (entry["state"], entry["outcome"], entry["decision"]["route"]) == (
        "done",
        "ignored",
        True,
    )  # what had been decided stays on record


def test_a_done_event_is_not_called_for_again(lane: RoutingLane) -> None:
    lane.handle(event(), Service())
    service = Service()
    with pytest.raises(AlreadyDone):
        lane.handle(event(102), service)
    assert service.calls == []


def test_a_holder_whose_fence_is_behind_does_not_call(lane: RoutingLane, ledger: Ledger) -> None:
    ledger.claim(event(200), {})
    service = Service()
    with pytest.raises(FenceRaised):
        lane.handle(event(199), service)
    assert service.calls == []


def test_a_holder_that_was_overtaken_during_its_call_cannot_close(
    database: Database[Document], lane: RoutingLane
) -> None:
    def overtaken(key: str, request: Document) -> Document:
        assert lane.handle(event(102), Service()) == Done("routed")
        return {"route_id": "rt_2"}

    with pytest.raises(LostFence):
        lane.handle(event(101), overtaken)
    assert stored(database)[1]["route"] == ANSWER


@pytest.mark.parametrize("last_takes_effect", [False, True], ids=["before", "after"])
def test_a_death_at_any_step_leaves_no_trace_in_the_end(
    database: Database[Document], lane: RoutingLane, last_takes_effect: bool
) -> None:
    before = stored(database)
    life = Life()
    routing_lane(database, life).handle(event(), Service())
    wanted, entry = stored(database)
    assert life.steps == ["find", "claim", "set_route", "close"]
    for left, name in enumerate(life.steps):
        database["shipments"].replace_one({"_id": "SHP-1"}, before[0])
        database["events"].replace_one({"_id": "bench:evt_1"}, before[1])
        first, second = Service(), Service()
        with pytest.raises(Killed):
            routing_lane(database, Life(left, last_takes_effect)).handle(event(), first)
        if name == "close" and last_takes_effect:
            with pytest.raises(AlreadyDone):
                lane.handle(event(102), second)
            assert stored(database) == (wanted, entry)
        else:
            assert lane.handle(event(102), second) == Done("routed")
            assert stored(database) == (wanted, entry | {"fence": 102})
        noted = name == "close" or (name == "set_route" and last_takes_effect)
        assert len(second.calls) == (0 if noted else 1), f"died at {name}"
