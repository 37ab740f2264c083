"""The paths that an event may take: processes that run one after the other, and changes between
their runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.crashpoints.environment import EVT, Environment
from tests.crashpoints.processes import ProcessSpec
from tests.support.samples import shipment

Document = dict[str, Any]
Change = Callable[[Environment], Any]

LOOKUP, ROUTING, SCHEDULER = ProcessSpec("lookup"), ProcessSpec("routing"), ProcessSpec("scheduler")
REPLAY, DROP = (ProcessSpec("operator", ("dead", verb, EVT)) for verb in ("replay", "drop"))


@dataclass(frozen=True)
class EventPath:
    """actions: processes and changes, in order. targets: the numbers of the actions, all processes,
    that are killed at each of their crash points. The rest is the expected end of an uninterrupted
    run: redis: the state of each event. outcome: in the ledger. status, applied: of the shipment.
    calls: successful calls of the Routing Service."""

    actions: tuple[ProcessSpec | Change, ...]
    targets: tuple[int, ...]
    redis: dict[str, str]
    outcome: str | None = "routed"
    status: str = "delivery_failed"
    applied: int = 1
    calls: int = 1


def accepted(status: str = "delivery_failed", shipment: str = "SHP-1") -> Change:
    return lambda environment: environment.accept(status, shipment=shipment)


def routing_behaves(**behaviour: Any) -> Change:
    return lambda environment: environment.routing_behaves(**behaviour)


def advance_hours(hours: float) -> Change:
    return lambda environment: environment.advance_hours(hours)


def create_shipment(environment: Environment) -> None:
    environment.database["shipments"].insert_one(shipment("SHP-2"))


def give_shipment_a_long_history(environment: Environment) -> None:
    """So long that ids must leave ``recent_events``, all but one, which the ledger has not recorded
    as applied."""
    ids = [f"bench:old_{n}" for n in range(32)]
    environment.database["shipments"].update_one(
        {"_id": "SHP-1"}, {"$set": {"recent_events": ids, "events_applied": 32}}
    )
    environment.database["events"].insert_many(
        [{"_id": id, "state": "done", "fence": 1, "applied_at": "long ago"} for id in ids[1:]]
    )


def forget_scripts(environment: Environment) -> None:
    environment.load_scripts(False)


def mongo_fails(*commands: str) -> Change:
    return lambda environment: environment.mongo_fails(*commands)


def prepare_work_for_scheduler(environment: Environment) -> None:
    """A retry that is due, an expired lock in each lane, an expired lock of an event at its last
    crash, a tombstone to be trimmed, and a ready event."""
    queue = environment.queue
    for id in ("bench:finished", "bench:retried", "bench:forwarded", "bench:poison"):
        environment.accept(id=id)
    finished, retried, forwarded, _ = queue.reserve(
        "lookup", 4, owner="host/gone", boot="boot", lease_seconds=60
    )
    queue.done(finished, "recorded")
    environment.advance_hours(
        25
    )  # the tombstone's window has ended, and so has the lock on bench:poison
    queue.retry(retried, 60, "status 500")
    queue.forward(forwarded)
    queue.reserve("routing", 1, owner="host/gone", boot="boot", lease_seconds=60)
    environment.accept(id="bench:locked")
    queue.reserve("lookup", 1, owner="host/gone", boot="boot", lease_seconds=60)
    environment.accept(id="bench:waiting")
    environment.store.hset(queue.keys.event("bench:poison"), "crashes", 4)
    environment.advance_hours(1)


DONE = {EVT: "done"}

PATHS = {
    "status only": EventPath(
        (accepted("in_transit"), LOOKUP),
        (1,),
        DONE,
        outcome="recorded",
        status="in_transit",
        calls=0,
    ),
    "status only, Redis without scripts": EventPath(
        (accepted("in_transit"), forget_scripts, LOOKUP),
        (2,),
        DONE,
        outcome="recorded",
        status="in_transit",
        calls=0,
    ),
    "status only, long history": EventPath(
        (give_shipment_a_long_history, accepted("in_transit"), LOOKUP),
        (2,),
        DONE,
        outcome="recorded",
        status="in_transit",
        calls=0,
        applied=33,
    ),
    "routed": EventPath((accepted(), LOOKUP, ROUTING), (1, 2), DONE),
    "retried": EventPath(
        (
            accepted(),
            LOOKUP,
            routing_behaves(fail_ratio=1),
            ROUTING,
            routing_behaves(),
            advance_hours(1),
            SCHEDULER,
            ROUTING,
        ),
        (3, 6, 7),
        DONE,
    ),
    "unknown shipment": EventPath(
        (
            accepted(shipment="SHP-2"),
            LOOKUP,
            create_shipment,
            advance_hours(1),
            SCHEDULER,
            LOOKUP,
            ROUTING,
        ),
        (1, 4, 5),
        DONE,
    ),
    "duplicate while it waits": EventPath(
        (accepted(), accepted(), LOOKUP, accepted(), ROUTING, accepted()), (2, 4), DONE
    ),
    "duplicate that only the ledger knows": EventPath(
        (accepted(), LOOKUP, ROUTING, advance_hours(25), SCHEDULER, accepted(), LOOKUP),
        (4, 6),
        DONE,
    ),
    "route that MongoDB did not take": EventPath(
        (
            accepted(),
            LOOKUP,
            mongo_fails("update"),
            ROUTING,
            mongo_fails(),
            advance_hours(1),
            SCHEDULER,
            ROUTING,
        ),
        (3, 7),
        DONE,
    ),
    "dead letter": EventPath(
        (accepted(), LOOKUP, routing_behaves(fail_ratio=1, fail_status=400), ROUTING),
        (3,),
        {EVT: "dead"},
        outcome=None,
        calls=0,
    ),
    "dead letter, replayed": EventPath(
        (
            accepted(),
            LOOKUP,
            routing_behaves(fail_ratio=1, fail_status=400),
            ROUTING,
            routing_behaves(),
            REPLAY,
            LOOKUP,
            ROUTING,
        ),
        (5, 6, 7),
        DONE,
    ),
    "dead letter, dropped": EventPath(
        (accepted(), LOOKUP, routing_behaves(fail_ratio=1, fail_status=400), ROUTING, DROP),
        (4,),
        {EVT: "dropped"},
        outcome=None,
        calls=0,
    ),
    "scheduler": EventPath(
        (prepare_work_for_scheduler, SCHEDULER),
        (1,),
        {
            "bench:retried": "ready",
            "bench:forwarded": "ready",
            "bench:locked": "ready",
            "bench:waiting": "ready",
            "bench:poison": "dead",
        },
        outcome=None,
        status="label_created",
        applied=0,
        calls=0,
    ),
}
