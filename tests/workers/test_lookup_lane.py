"""The lookup lane on a real MongoDB, with events as ``Queue.reserve`` returns them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from pymongo.database import Database

from tests.support.crashing_lanes import Killed, StoreCalls, lookup_lane
from tests.support.samples import RECEIVED, body, job, reserved, shipment
from workers.errors import AlreadyDone, FenceRaised, Permanent, Transient
from workers.ledger import Ledger
from workers.lookup_lane import LookupLane
from workers.results import Bury, Defer, Done, Forward

Document = dict[str, Any]
NEEDS_NO_ROUTE = body(status="in_transit")


@pytest.fixture
def lane(database: Database[Document]) -> LookupLane:
    return lookup_lane(database)


def stored(database: Database[Document]) -> tuple[Document, Document]:
    """The shipment and the ledger document of bench:evt_1, less the times of writing."""
    entry = database["events"].find_one({"_id": "bench:evt_1"}) or {}
    for name in ("applied_at", "done_at"):
        if name in entry:
            entry[name] = "recorded"
    return database["shipments"].find_one({"_id": "SHP-1"}) or {}, entry


def entry(fence: int = 100, **more: Any) -> Document:
    return {
        "_id": "bench:evt_1",
        "fence": fence,
        "state": "processing",
        "source": "bench",
        "attempts": 0,
        "received_at": RECEIVED,
        "shipment_id": "SHP-1",
        "occurred_at": RECEIVED - timedelta(hours=1),
    } | more


def test_an_event_that_needs_a_route_is_applied_and_forwarded(
    database: Database[Document], lane: LookupLane
) -> None:
    assert lane.handle(job()) == Forward()
    assert stored(database) == (
        shipment(
            status="delivery_failed",
            last_event_at=RECEIVED - timedelta(hours=1),
            events_applied=1,
            recent_events=["bench:evt_1"],
        ),
        entry(
            status="delivery_failed",
            applied_at="recorded",
            decision={"apply": True, "route": True, "reason": "route"},
        ),
    )


def test_an_event_that_needs_no_route_is_recorded_and_closed(
    database: Database[Document], lane: LookupLane
) -> None:
    assert lane.handle(job(body=NEEDS_NO_ROUTE)) == Done("recorded")
    assert stored(database) == (
        shipment(
            status="in_transit",
            last_event_at=RECEIVED - timedelta(hours=1),
            events_applied=1,
            recent_events=["bench:evt_1"],
        ),
        entry(
            status="in_transit",
            state="done",
            outcome="recorded",
            applied_at="recorded",
            done_at="recorded",
            decision={"apply": True, "route": False, "reason": "status_needs_no_route"},
        ),
    )


def test_a_late_event_is_counted_and_closed_as_late(
    database: Database[Document], lane: LookupLane
) -> None:
    seen: Document = {"status": "out_for_delivery", "last_event_at": RECEIVED}
    database["shipments"].replace_one({"_id": "SHP-1"}, shipment(**seen))
    assert lane.handle(job()) == Done("late")
    assert stored(database)[0] == shipment(**seen, events_applied=1, recent_events=["bench:evt_1"])
    assert stored(database)[1]["decision"]["reason"] == "late"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"active": False}, "shipment_inactive"),
        ({"order_id": "ORD-2"}, "order_not_open"),
        ({"order_id": None}, "order_not_open"),
    ],
)
def test_without_an_active_shipment_and_an_open_order_the_status_is_recorded_only(
    database: Database[Document], lane: LookupLane, change: Document, reason: str
) -> None:
    database["shipments"].update_one({"_id": "SHP-1"}, {"$set": change})
    assert lane.handle(job()) == Done("recorded")
    assert stored(database)[0]["status"] == "delivery_failed"
    assert stored(database)[1]["decision"]["reason"] == reason


def test_a_malformed_event_is_dead_lettered_and_changes_nothing(
    database: Database[Document], lane: LookupLane
) -> None:
    for malformed in (
        job(body=b"{}"),
        job(body=body(status="teleported")),
        job(source="removed"),
    ):
        result = lane.handle(malformed)
        assert isinstance(result, Bury)
        assert (result.reason, result.attempts) == ("malformed", 0)
        assert result.error
    assert stored(database) == (shipment(), {})


def unknown_to_easypost(**more: str) -> bytes:
    """A body with a status that the source's table ignores."""
    return orjson.dumps({"id": "evt_1", "result": {"status": "unknown", **more}})


@pytest.mark.parametrize(
    ("more", "fields"),
    [
        ({"tracking_code": "SHP-1"}, {"shipment_id": "SHP-1"}),
        ({"tracking_code": "SHP-9", "updated_at": "soon"}, {"shipment_id": "SHP-9"}),
        ({}, {}),
    ],
)
def test_an_ignored_status_is_closed_in_the_ledger_and_no_shipment_is_read(
    database: Database[Document], lane: LookupLane, more: dict[str, str], fields: Document
) -> None:
    assert lane.handle(job(body=unknown_to_easypost(**more), source="easypost")) == Done("ignored")
    expected = entry(
        source="easypost",
        state="done",
        outcome="ignored",
        done_at="recorded",
        courier_status="unknown",
        decision={"apply": False, "route": False, "reason": "status_ignored"},
        **fields,
    )
    for name in {"shipment_id", "occurred_at"} - fields.keys():
        del expected[name]
    assert stored(database) == (shipment(), expected)
    with pytest.raises(AlreadyDone):
        lane.handle(job(body=unknown_to_easypost(**more), source="easypost", fence=101))


def test_an_unknown_shipment_is_waited_for_and_not_claimed(
    database: Database[Document], lane: LookupLane
) -> None:
    for waits, least, most in ((0, 0.9, 1.1), (2, 3.6, 4.4), (50, 4.5, 5.5)):
        result = lane.handle(job(body=body("SHP-9"), waits=waits, age_seconds=59))
        assert isinstance(result, Defer)
        assert result.reason == "unknown_shipment"
        assert least <= result.delay_seconds <= most
    assert stored(database) == (shipment(), {})


def test_an_unknown_shipment_is_waited_for_no_longer_than_configured(lane: LookupLane) -> None:
    result = lane.handle(job(body=body("SHP-9"), age_seconds=61))
    assert result == Bury("unknown_shipment", "no shipment SHP-9")


def test_a_done_event_is_done_although_its_shipment_is_gone(
    database: Database[Document], lane: LookupLane
) -> None:
    lane.handle(job(body=NEEDS_NO_ROUTE))
    database["shipments"].delete_many({})
    assert lane.handle(job(body=NEEDS_NO_ROUTE, fence=101)) == Done("already_done")


def test_a_done_event_that_is_reserved_again_changes_nothing(
    database: Database[Document], lane: LookupLane
) -> None:
    lane.handle(job(body=NEEDS_NO_ROUTE))
    before = stored(database)
    with pytest.raises(AlreadyDone):
        lane.handle(job(fence=101))
    assert stored(database) == before


def test_a_holder_with_a_lower_fence_changes_nothing(
    database: Database[Document], lane: LookupLane, ledger: Ledger
) -> None:
    ledger.claim(reserved(fence=200), {})
    before = stored(database)
    with pytest.raises(FenceRaised):
        lane.handle(job(fence=199))
    assert stored(database) == before


def test_a_replayed_event_keeps_its_decision_and_is_forwarded_again(
    database: Database[Document], lane: LookupLane, ledger: Ledger
) -> None:
    lane.handle(job())
    ledger.note_dead(reserved(), "permanent", "status 400")
    database["orders"].update_many({}, {"$set": {"status": "closed"}})
    before = stored(database)[0]
    assert lane.handle(job(fence=101)) == Forward()
    assert stored(database)[0] == before


def test_an_event_that_left_recent_events_is_found_in_the_ledger(
    database: Database[Document], lane: LookupLane, ledger: Ledger
) -> None:
    lane.handle(job())
    ledger.note_dead(reserved(), "permanent", "status 400")
    database["shipments"].update_one({"_id": "SHP-1"}, {"$set": {"recent_events": []}})
    before = stored(database)[0]
    assert lane.handle(job(fence=101)) == Forward()
    assert stored(database)[0] == before


def test_a_shipment_in_another_shape_is_a_permanent_failure(
    database: Database[Document], lane: LookupLane
) -> None:
    database["shipments"].update_one({"_id": "SHP-1"}, {"$set": {"events_applied": "3"}})
    with pytest.raises(Permanent):
        lane.handle(job())
    assert database["events"].count_documents({}) == 0


def test_a_shipment_that_changes_after_every_read_fails_the_attempt(
    database: Database[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.lookup_lane.READS_MAX", 5)
    monkeypatch.setattr("workers.shipments.Shipments.apply", lambda *_: False)
    with pytest.raises(Transient, match="changes faster"):
        lookup_lane(database).handle(job())


def test_a_lost_ledger_does_not_let_an_event_count_twice(
    database: Database[Document], lane: LookupLane
) -> None:
    lane.handle(job())
    before = stored(database)[0]
    database["events"].delete_many({})
    assert lane.handle(job(fence=101)) == Done("late")
    assert stored(database)[0] == before


@pytest.mark.parametrize("takes_effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("raw", [body(), NEEDS_NO_ROUTE], ids=["routed", "recorded"])
def test_a_kill_at_any_store_call_does_not_change_the_end(
    database: Database[Document], raw: bytes, takes_effect: bool
) -> None:
    calls = StoreCalls()
    expected_result = lookup_lane(database, calls).handle(job(body=raw))
    expected = stored(database)
    expected[1]["fence"] = 101
    assert len(calls.names) >= 5
    for allowed, name in enumerate(calls.names):
        database["events"].delete_many({})
        database["shipments"].replace_one({"_id": "SHP-1"}, shipment())
        with pytest.raises(Killed):
            lookup_lane(database, StoreCalls(allowed, takes_effect)).handle(job(body=raw))
        try:
            result = lookup_lane(database).handle(job(body=raw, fence=101))
        except AlreadyDone:  # it was killed after its last call
            assert takes_effect
            assert allowed == len(calls.names) - 1
            assert stored(database)[1].pop("fence") == 100
            assert stored(database)[0] == expected[0]
        else:
            assert result == expected_result
            assert stored(database) == expected, f"killed at {name}"
