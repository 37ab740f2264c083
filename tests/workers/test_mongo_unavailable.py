"""MongoDB killed under the lanes: nothing is wrong with the event, nothing is done by halves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.errors import OperationFailure, WriteConcernError

from tests.support.crashing_holder import lookup_lane, routing_lane
from tests.support.mongo_server import MongoServer
from tests.support.samples import body, reserved
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
def mortal(mongod: MongoServer, database: Database[Document]) -> Iterator[Database[Document]]:
    """The same database; mongod runs again afterwards."""
    yield database
    if mongod.process is not None and mongod.process.poll() is not None:
        mongod.start()


def test_every_read_and_write_says_that_mongodb_is_away_and_goes_on_when_it_is_back(
    mongod: MongoServer, mortal: Database[Document]
) -> None:
    ledger, shipments = Ledger(mortal), Shipments(mortal)
    as_read = shipments.find("SHP-1")
    assert as_read is not None
    event = reserved()
    steps: list[Callable[[], object]] = [
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
    with ThreadPoolExecutor(len(steps)) as pool:  # each looks for a server for 2 s
        errors = [future.exception() for future in [pool.submit(step) for step in steps]]
    assert [type(error) for error in errors] == [StoreUnavailable] * len(steps)
    mongod.start()
    for step in steps:
        step()


def test_the_lanes_go_on_where_they_were_after_mongodb_was_killed(
    mongod: MongoServer, mortal: Database[Document]
) -> None:
    mongod.kill()
    with pytest.raises(StoreUnavailable):
        lookup_lane(mortal).handle(reserved())
    mongod.start()
    assert lookup_lane(mortal).handle(reserved(fence=101)) == Forward()

    def answer_while_mongodb_dies(key: str, request: Document) -> Document:
        mongod.kill()
        return {"hub": "CAI"}

    routing = reserved(lane="routing", fence=102)
    result = routing_lane(mortal).handle(routing, answer_while_mongodb_dies)
    assert isinstance(result, Defer)
    assert result.reason == "route_not_recorded"
    mongod.start()
    again = reserved(lane="routing", fence=103, route=result.route)
    assert routing_lane(mortal).handle(again, lambda *_: {"never": "asked"}) == Done("routed")
    shipment = Shipments(mortal).find("SHP-1")
    assert shipment is not None
    assert shipment.events_applied == 1
    assert shipment.route is not None
    assert shipment.route["answer"] == {"hub": "CAI"}


def test_what_was_written_before_the_kill_is_there_after_it(
    mongod: MongoServer, mortal: Database[Document]
) -> None:
    lookup_lane(mortal).handle(reserved(body=body(status="in_transit")))
    before = list(mortal["events"].find()), list(mortal["shipments"].find())
    mongod.kill()
    mongod.start()
    assert (list(mortal["events"].find()), list(mortal["shipments"].find())) == before


def test_the_gate_opens_by_itself_when_mongodb_answers_again(
    mongod: MongoServer, mortal: Database[Document]
) -> None:
    gate = StoreGate(lambda: mongo.answers(mortal))
    assert gate.open()
    mongod.kill()
    assert gate.open()  # nobody has found out yet, and looking at the gate asks nobody
    gate.away("AutoReconnect")
    assert not gate.open()
    mongod.start()
    await_true(gate.open, 30)


@pytest.mark.parametrize("code", [13, 18, 91, 100, 189, 10107, 11600, 13435, 13436, 14031])
def test_a_server_that_refuses_everybody_counts_as_away(code: int) -> None:
    @store_errors
    def refused() -> None:
        raise OperationFailure("no", code)

    with pytest.raises(StoreUnavailable, match=str(code)):
        refused()


@pytest.mark.parametrize(
    "error", [OperationFailure("a bad value", 2), ValueError("ours"), WriteConcernError("odd", 79)]
)
def test_a_fault_that_is_ours_does_not_count_as_away(error: Exception) -> None:
    @store_errors
    def faulty() -> None:
        raise error

    with pytest.raises(type(error)):
        faulty()
