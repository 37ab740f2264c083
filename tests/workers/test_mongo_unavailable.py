"""MongoDB is killed while the lanes work: events are not at fault, and nothing is half done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.errors import OperationFailure, WriteConcernError

from tests.support.crashing_lanes import FakeRoutingClient, lookup_lane, routing_lane
from tests.support.mongo_server import MongoServer
from tests.support.samples import body, job, reserved
from tests.support.servers import await_true
from workers import mongo
from workers.errors import StoreUnavailable
from workers.ledger import Ledger
from workers.mongo import store_errors
from workers.results import Defer, Done, Forward
from workers.shipments import Shipments
from workers.store_gate import StoreGate

Document = dict[str, Any]


@pytest.fixture
def killable(mongod: MongoServer, database: Database[Document]) -> Iterator[Database[Document]]:
    """``database``; after the test, mongod is started again if need be."""
    yield database
    if mongod.process is not None and mongod.process.poll() is not None:
        mongod.start()


def test_every_operation_raises_store_unavailable_during_an_outage_and_works_after_it(
    mongod: MongoServer, killable: Database[Document]
) -> None:
    ledger, shipments = Ledger(killable), Shipments(killable)
    as_read = shipments.find("SHP-1")
    assert as_read is not None
    event = reserved()
    operations: list[Callable[[], object]] = [
        lambda: shipments.find("SHP-1"),
        lambda: shipments.order_is_open("ORD-1"),
        lambda: ledger.claim(event, {"shipment_id": "SHP-1"}, {"route": True}),
        lambda: shipments.apply(event.id, as_read, {"status": "delayed"}, ledger.applied),
        lambda: ledger.mark_applied(event),
        lambda: ledger.applied([event.id]),
        lambda: shipments.set_route(
            "SHP-1", {"event_id": event.id, "status": "delayed", "occurred_at": None}
        ),
        lambda: ledger.note_dead(event, "permanent", ""),
        lambda: ledger.is_done(event.id),
        lambda: ledger.close(event, "routed"),
    ]
    mongod.kill()
    with ThreadPoolExecutor(len(operations)) as pool:  # each looks for a server for 2 s
        errors = [
            future.exception() for future in [pool.submit(operation) for operation in operations]
        ]
    assert [type(error) for error in errors] == [StoreUnavailable] * len(operations)
    mongod.start()
    for operation in operations:
        operation()


def test_the_lanes_continue_after_mongodb_was_killed(
    mongod: MongoServer, killable: Database[Document]
) -> None:
    mongod.kill()
    with pytest.raises(StoreUnavailable):
        lookup_lane(killable).handle(job())
    mongod.start()
    assert lookup_lane(killable).handle(job(fence=101)) == Forward()

    client = FakeRoutingClient({"hub": "CAI"}, during=mongod.kill)
    result = routing_lane(killable, client).handle(job(lane="routing", fence=102))
    assert isinstance(result, Defer)
    assert result.reason == "route_not_recorded"
    mongod.start()
    again = job(lane="routing", fence=103, route=result.route)
    assert routing_lane(killable, client).handle(again) == Done("routed")
    assert len(client.calls) == 1
    shipment = Shipments(killable).find("SHP-1")
    assert shipment is not None
    assert shipment.events_applied == 1
    assert shipment.route is not None
    assert shipment.route["answer"] == {"hub": "CAI"}


def test_a_confirmed_write_survives_a_kill_of_mongodb(
    mongod: MongoServer, killable: Database[Document]
) -> None:
    lookup_lane(killable).handle(job(body=body(status="in_transit")))
    before = list(killable["events"].find()), list(killable["shipments"].find())
    mongod.kill()
    mongod.start()
    assert (list(killable["events"].find()), list(killable["shipments"].find())) == before


def test_the_gate_allows_work_again_when_mongodb_answers(
    mongod: MongoServer, killable: Database[Document]
) -> None:
    gate = StoreGate(lambda: mongo.answers(killable))
    assert gate.allows_work()
    mongod.kill()
    assert gate.allows_work()  # no operation has failed yet, and the gate does not ask
    gate.report_unavailable("AutoReconnect")
    assert not gate.allows_work()
    mongod.start()
    await_true(gate.allows_work, 30)


@pytest.mark.parametrize("code", [13, 18, 91, 100, 189, 10107, 11600, 13435, 13436, 14031])
def test_an_error_that_every_operation_would_get_counts_as_unavailable(code: int) -> None:
    @store_errors
    def refused() -> None:
        raise OperationFailure("no", code)

    with pytest.raises(StoreUnavailable, match=str(code)):
        refused()


@pytest.mark.parametrize(
    "error", [OperationFailure("a bad value", 2), ValueError("ours"), WriteConcernError("odd", 79)]
)
def test_an_error_in_the_request_does_not_count_as_unavailable(error: Exception) -> None:
    @store_errors
    def faulty() -> None:
        raise error

    with pytest.raises(type(error)):
        faulty()
