"""The ledger on a real MongoDB: which holder may claim, what a claim changes, what is final."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from tests.support.samples import RECEIVED, reserved
from workers.errors import AlreadyDone, FenceRaised, LostFence
from workers.ledger import Entry, Ledger

Document = dict[str, Any]
FIELDS = {"shipment_id": "SHP-1", "status": "delayed", "occurred_at": RECEIVED}
ROUTE = {"apply": True, "route": True, "reason": "route"}
LATE = {"apply": False, "route": False, "reason": "late"}


def entry(database: Database[Document], id: str = "bench:evt_1") -> Document | None:
    return database["events"].find_one({"_id": id})


def test_a_first_claim_records_all_fields(database: Database[Document], ledger: Ledger) -> None:
    assert ledger.claim(reserved(fence=7, attempts=2), FIELDS, ROUTE) == Entry(ROUTE, applied=False)
    assert entry(database) == {
        "_id": "bench:evt_1",
        "fence": 7,
        "state": "processing",
        "source": "bench",
        "attempts": 2,
        "received_at": RECEIVED,
        "decision": ROUTE,
        **FIELDS,
    }


def test_the_same_holder_may_claim_again(ledger: Ledger) -> None:
    ledger.claim(reserved(fence=7), FIELDS, ROUTE)
    assert ledger.claim(reserved(fence=7), FIELDS, LATE) == Entry(LATE, applied=False)


def test_after_a_later_holder_has_claimed_the_earlier_one_cannot_write(
    database: Database[Document], ledger: Ledger
) -> None:
    earlier, later = reserved(fence=7), reserved(fence=8)
    ledger.claim(earlier, FIELDS, ROUTE)
    ledger.claim(later, FIELDS, ROUTE)
    before = entry(database)
    with pytest.raises(LostFence):
        ledger.mark_applied(earlier)
    with pytest.raises(LostFence):
        ledger.close(earlier, "routed", route={"a": 1})
    with pytest.raises(FenceRaised) as raised:
        ledger.claim(earlier, FIELDS, LATE)
    assert raised.value.fence == 8
    assert entry(database) == before


def test_a_done_event_is_done_for_every_holder(
    database: Database[Document], ledger: Ledger
) -> None:
    event = reserved(fence=7)
    ledger.claim(event, FIELDS, ROUTE)
    ledger.close(event, "routed", route={"hub": "CAI"})
    done = entry(database)
    for fence in (6, 7, 8):
        with pytest.raises(AlreadyDone):
            ledger.claim(reserved(fence=fence), FIELDS, LATE)
        assert not ledger.note_dead(reserved(fence=fence), "permanent", "status 400")
    with pytest.raises(LostFence):
        ledger.close(event, "recorded")
    with pytest.raises(LostFence):
        ledger.mark_applied(event)
    assert entry(database) == done
    assert done is not None
    assert done["state"] == "done"
    assert done["route"] == {"hub": "CAI"}
    assert "applied_at" not in done


def test_a_dead_note_may_be_claimed_by_a_higher_fence(
    database: Database[Document], ledger: Ledger
) -> None:
    ledger.claim(reserved(fence=7), FIELDS, ROUTE)
    assert ledger.note_dead(reserved(fence=7), "permanent", "status 400")
    dead = entry(database)
    assert dead is not None
    assert (dead["state"], dead["reason"], dead["error"]) == ("dead", "permanent", "status 400")
    ledger.claim(reserved(fence=8), FIELDS)
    claimed = entry(database)
    assert claimed is not None
    assert (claimed["state"], claimed["fence"]) == ("processing", 8)


def test_a_dead_note_fences_off_an_earlier_holder_that_still_works(
    database: Database[Document], ledger: Ledger
) -> None:
    stuck = reserved(fence=7)
    ledger.claim(stuck, FIELDS, ROUTE)
    assert ledger.note_dead(reserved(fence=8), "attempts_exhausted", "")
    with pytest.raises(LostFence):
        ledger.close(stuck, "routed", route={})
    dead = entry(database)
    assert dead is not None
    assert dead["state"] == "dead"


def test_a_dead_note_does_not_replace_a_later_holder_s_claim(
    database: Database[Document], ledger: Ledger
) -> None:
    ledger.claim(reserved(fence=8), FIELDS, ROUTE)
    assert ledger.note_dead(reserved(fence=7), "permanent", "")
    claimed = entry(database)
    assert claimed is not None
    assert (claimed["state"], claimed["fence"]) == ("processing", 8)


def test_an_event_that_was_never_claimed_gets_no_note(
    database: Database[Document], ledger: Ledger
) -> None:
    assert ledger.note_dead(reserved(), "malformed", "no shipment id")
    assert entry(database) is None


def test_a_decision_is_replaced_until_it_was_applied_and_never_after(ledger: Ledger) -> None:
    event = reserved(fence=7)
    ledger.claim(event, FIELDS, LATE)
    assert ledger.claim(event, FIELDS, ROUTE).decision == ROUTE
    ledger.mark_applied(event)
    assert ledger.claim(reserved(fence=8), FIELDS, LATE) == Entry(ROUTE, applied=True)


def test_a_claim_without_a_decision_keeps_the_existing_one(ledger: Ledger) -> None:
    assert ledger.claim(reserved(fence=7), FIELDS).decision is None
    ledger.claim(reserved(fence=7), FIELDS, ROUTE)
    assert ledger.claim(reserved(fence=8), FIELDS).decision == ROUTE


def test_a_document_without_a_fence_can_be_claimed(
    database: Database[Document], ledger: Ledger
) -> None:
    database["events"].insert_one({"_id": "bench:evt_1", "state": "processing"})
    ledger.claim(reserved(fence=7), FIELDS, ROUTE)
    claimed = entry(database)
    assert claimed is not None
    assert claimed["fence"] == 7


def test_of_many_concurrent_claims_the_highest_fence_remains(
    database: Database[Document], ledger: Ledger
) -> None:
    won, lost = set(), {}

    def claim(fence: int) -> None:
        try:
            ledger.claim(reserved(fence=fence), FIELDS, ROUTE)
            won.add(fence)
        except FenceRaised as error:
            lost[fence] = error.fence

    threads = [threading.Thread(target=claim, args=(fence,)) for fence in range(1, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    claimed = entry(database)
    assert claimed is not None
    assert claimed["fence"] == 16
    assert 16 in won
    assert won | set(lost) == set(range(1, 17))
    assert all(seen > fence for fence, seen in lost.items())


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200),
    value=st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
    | st.sampled_from(["$state", "$$REMOVE", "a.b", "$", "\0", "{$gt: 1}"]),
)
def test_no_id_and_no_value_is_evaluated_as_an_expression(
    database: Database[Document], ledger: Ledger, id: str, value: str
) -> None:
    database["events"].delete_many({})
    event = reserved(f"bench:{id}", source=value)
    fields = FIELDS | {"shipment_id": value}
    decision = {"apply": True, "route": False, "reason": value}
    assert ledger.claim(event, fields, decision) == Entry(decision, applied=False)
    ledger.close(event, value, applied=True, route={value.replace("\0", ""): value})
    found = entry(database, f"bench:{id}")
    assert found is not None
    assert found["shipment_id"] == found["source"] == found["outcome"] == value
    assert ledger.applied([event.id, "bench:other"]) == {event.id}
    assert ledger.is_done(event.id)
    assert database["events"].count_documents({}) == 1


def test_a_fence_of_any_redis_time_keeps_its_value(
    database: Database[Document], ledger: Ledger
) -> None:
    fence = 253_402_300_799_999_999  # µs, the end of the year 9999
    ledger.claim(reserved(fence=fence), FIELDS)
    claimed = entry(database)
    assert claimed is not None
    assert claimed["fence"] == fence
    with pytest.raises(FenceRaised) as raised:
        ledger.claim(reserved(fence=fence - 1), FIELDS)
    assert raised.value.fence == fence
