"""The two effects that an event has on a shipment, on a real MongoDB."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from bson import Decimal128
from pymongo.database import Database

from tests.support.samples import RECEIVED, shipment
from workers.errors import Permanent
from workers.shipments import RECENT_KEPT, RECENT_MAX, Shipment, Shipments

Document = dict[str, Any]
CHANGE = {"status": "delayed", "last_event_at": RECEIVED}


def none_applied(ids: Iterable[str]) -> set[str]:
    return set()


def read(shipments: Shipments) -> Shipment:
    found = shipments.find("SHP-1")
    assert found is not None
    return found


def overwrite(database: Database[Document], **changes: Any) -> None:
    database["shipments"].replace_one({"_id": "SHP-1"}, shipment(**changes))


def test_an_effect_counts_the_event_and_sets_the_status(shipments: Shipments) -> None:
    assert shipments.apply("bench:a", read(shipments), CHANGE, none_applied)
    found = read(shipments)
    assert (found.status, found.last_event_at) == ("delayed", RECEIVED)
    assert (found.events_applied, found.recent_events) == (1, ("bench:a",))


def test_a_late_event_is_counted_and_changes_nothing_else(
    database: Database[Document], shipments: Shipments
) -> None:
    assert shipments.apply("bench:a", read(shipments), {}, none_applied)
    assert database["shipments"].find_one({"_id": "SHP-1"}) == shipment(
        events_applied=1, recent_events=["bench:a"]
    )


def test_an_effect_is_not_applied_to_a_shipment_that_changed_since_it_was_read(
    database: Database[Document], shipments: Shipments
) -> None:
    as_read = read(shipments)
    assert shipments.apply("bench:other", as_read, CHANGE, none_applied)
    before = database["shipments"].find_one({"_id": "SHP-1"})
    assert not shipments.apply("bench:a", as_read, {"status": "returned"}, none_applied)
    assert database["shipments"].find_one({"_id": "SHP-1"}) == before


def test_a_repeated_effect_is_not_applied(
    database: Database[Document], shipments: Shipments
) -> None:
    assert shipments.apply("bench:a", read(shipments), CHANGE, none_applied)
    before = database["shipments"].find_one({"_id": "SHP-1"})
    assert not shipments.apply("bench:a", read(shipments), CHANGE, none_applied)
    assert database["shipments"].find_one({"_id": "SHP-1"}) == before


def test_an_effect_is_not_applied_to_a_deleted_shipment(
    database: Database[Document], shipments: Shipments
) -> None:
    as_read = read(shipments)
    database["shipments"].delete_many({})
    assert not shipments.apply("bench:a", as_read, CHANGE, none_applied)
    assert shipments.find("SHP-1") is None


def test_recent_events_lose_only_ids_that_the_ledger_has_recorded(
    database: Database[Document], shipments: Shipments
) -> None:
    recent = [f"bench:{n}" for n in range(RECENT_MAX)]
    overwrite(database, recent_events=recent, events_applied=RECENT_MAX)
    asked: list[str] = []

    def applied(ids: Iterable[str]) -> set[str]:
        asked.extend(ids)
        return set(asked) - {"bench:0", "bench:5"}

    assert shipments.apply("bench:new", read(shipments), CHANGE, applied)
    assert asked == recent[:-RECENT_KEPT]
    assert read(shipments).recent_events == (
        "bench:0",
        "bench:5",
        *recent[-RECENT_KEPT:],
        "bench:new",
    )


def test_a_short_list_of_recent_events_is_not_trimmed(
    database: Database[Document], shipments: Shipments
) -> None:
    recent = [f"bench:{n}" for n in range(RECENT_MAX - 1)]
    overwrite(database, recent_events=recent, events_applied=RECENT_MAX - 1)

    def applied(ids: Iterable[str]) -> set[str]:
        raise AssertionError("the ledger is asked")

    assert shipments.apply("bench:new", read(shipments), CHANGE, applied)
    assert read(shipments).recent_events == (*recent, "bench:new")


@pytest.mark.parametrize(
    "absent",
    [
        {"events_applied": None, "recent_events": None, "last_event_at": None, "route": None},
        {},
    ],
)
def test_a_shipment_of_another_system_has_no_history_yet(
    database: Database[Document], shipments: Shipments, absent: Document
) -> None:
    database["shipments"].replace_one({"_id": "SHP-1"}, {"_id": "SHP-1", **absent})
    found = read(shipments)
    assert found == Shipment("SHP-1", None, None, None, False, None, 0, (), None)
    assert shipments.apply("bench:a", found, CHANGE, none_applied)
    assert (read(shipments).events_applied, read(shipments).recent_events) == (1, ("bench:a",))


@pytest.mark.parametrize("counted", [3, 3.0, 2**40])
def test_a_counter_may_be_any_kind_of_whole_number(
    database: Database[Document], shipments: Shipments, counted: float
) -> None:
    overwrite(database, events_applied=counted)
    assert shipments.apply("bench:a", read(shipments), CHANGE, none_applied)
    assert read(shipments).events_applied == counted + 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("events_applied", "3"),
        ("events_applied", ""),
        ("events_applied", 2.5),
        ("events_applied", float("nan")),
        ("events_applied", float("inf")),
        ("events_applied", True),
        ("events_applied", False),
        ("events_applied", []),
        ("events_applied", Decimal128("3")),
        ("recent_events", "bench:a"),
        ("recent_events", {"0": "bench:a"}),
        ("last_event_at", "2026-11-23"),
        ("last_event_at", 1_790_000_000),
        ("last_event_at", ""),
    ],
)
def test_a_history_in_another_shape_is_rejected_by_the_name_of_the_field(
    database: Database[Document], shipments: Shipments, name: str, value: object
) -> None:
    overwrite(database, **{name: value})
    with pytest.raises(Permanent, match=f"shipment SHP-1: {name} is not what the gateway wrote"):
        shipments.find("SHP-1")


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        ({"_id": "ORD-1", "status": "open"}, True),
        ({"_id": "ORD-1", "status": "closed"}, False),
        ({"_id": "ORD-1"}, False),
        ({"_id": "ORD-2", "status": "open"}, False),
    ],
)
def test_an_order_is_open_only_if_its_status_is_open(
    database: Database[Document], shipments: Shipments, order: Document, wanted: bool
) -> None:
    database["orders"].delete_many({})
    database["orders"].insert_one(order)
    assert shipments.order_is_open("ORD-1") is wanted
    assert not shipments.order_is_open(None)


def route(id: str, minute: int, status: str = "delayed") -> Document:
    return {
        "event_id": id,
        "status": status,
        "occurred_at": RECEIVED + timedelta(minutes=minute),
        "answer": {"hub": id},
    }


def test_an_earlier_event_s_route_does_not_replace_a_later_one_s(shipments: Shipments) -> None:
    assert shipments.set_route("SHP-1", route("bench:second", 2))
    assert not shipments.set_route("SHP-1", route("bench:first", 1))
    assert read(shipments).route == route("bench:second", 2)
    assert shipments.set_route("SHP-1", route("bench:third", 3))
    assert read(shipments).route == route("bench:third", 3)


def test_of_two_events_of_one_time_the_route_is_of_the_one_that_ranks_higher(
    shipments: Shipments,
) -> None:
    low, high = route("bench:low", 1, "picked_up"), route("bench:high", 1, "delivery_failed")
    assert shipments.set_route("SHP-1", low)
    assert shipments.set_route("SHP-1", high)
    assert not shipments.set_route("SHP-1", low)  # a retry, or a worker that was suspended
    assert read(shipments).route == high


def test_a_route_may_be_recorded_again(shipments: Shipments) -> None:
    assert shipments.set_route("SHP-1", route("bench:a", 1))
    assert shipments.set_route("SHP-1", route("bench:a", 1))
    assert read(shipments).route == route("bench:a", 1)


@pytest.mark.parametrize("existing", ["text", {"occurred_at": "yesterday"}, [], 5])
def test_a_route_in_another_shape_is_replaced(
    database: Database[Document], shipments: Shipments, existing: object
) -> None:
    overwrite(database, route=existing)
    read(shipments)
    assert shipments.set_route("SHP-1", route("bench:a", 1))
    assert read(shipments).route == route("bench:a", 1)


def test_field_names_of_an_answer_may_hold_dollar_signs_and_dots(shipments: Shipments) -> None:
    odd = route("bench:a", 1) | {"answer": {"$set": {"a.b": 1, "": [2]}}}
    assert shipments.set_route("SHP-1", odd)
    assert read(shipments).route == odd


def test_a_route_is_not_set_on_a_deleted_shipment(shipments: Shipments) -> None:
    assert not shipments.set_route("SHP-2", route("bench:a", 1))
