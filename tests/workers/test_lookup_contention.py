"""Several holders change one shipment at once: every event takes effect exactly once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pymongo.database import Database

from tests.support.crashing_lanes import StoreCalls, lookup_lane
from tests.support.samples import RECEIVED, body, job
from workers.errors import AlreadyDone, FenceRaised
from workers.results import Forward

Document = dict[str, Any]


def shipment_now(database: Database[Document]) -> Document:
    return database["shipments"].find_one({"_id": "SHP-1"}) or {}


def test_of_two_holders_that_process_the_same_event_only_one_takes_effect(
    database: Database[Document],
) -> None:
    """The earlier one pauses between its claim and its effect while the later one finishes."""
    inside, go_on = threading.Event(), threading.Event()

    class PausedBeforeApply(StoreCalls):
        def call(self, name: str, method: Callable[[], Any]) -> Any:
            if name == "apply":
                inside.set()
                go_on.wait(30)
            return super().call(name, method)

    raised: list[Exception] = []

    def earlier() -> None:
        try:
            lookup_lane(database, PausedBeforeApply()).handle(job(fence=100))
        except FenceRaised as error:
            raised.append(error)

    thread = threading.Thread(target=earlier)
    thread.start()
    assert inside.wait(30)
    assert lookup_lane(database).handle(job(fence=101)) == Forward()
    before = shipment_now(database), list(database["events"].find())
    go_on.set()
    thread.join(30)
    assert len(raised) == 1
    assert (shipment_now(database), list(database["events"].find())) == before
    assert before[0]["events_applied"] == 1


def test_many_concurrent_events_of_one_shipment_are_each_counted_once(
    database: Database[Document],
) -> None:
    threads_count, each = 8, 8
    lane = lookup_lane(database)

    def work(number: int) -> None:
        for i in range(each):
            minute = number * each + i
            raw = body(status="in_transit", occurred_at=f"2026-11-23T04:{minute % 60:02}:00Z")
            for fence in (100, 101):  # a duplicate of each event
                try:
                    lane.handle(job(f"bench:{minute}", body=raw, fence=fence))
                except AlreadyDone:
                    assert fence == 101

    threads = [threading.Thread(target=work, args=(n,)) for n in range(threads_count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = shipment_now(database)
    assert found["events_applied"] == threads_count * each
    assert found["last_event_at"] == RECEIVED.replace(hour=4, minute=59)
    assert database["events"].count_documents({"state": "done"}) == threads_count * each
    assert len(found["recent_events"]) <= 40  # the ids that the ledger has recorded were removed
