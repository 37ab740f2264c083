"""The paths that an event may take: processes that live one after the other, and what happens in
the world between their lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.crashpoints.environment import EVT, World
from tests.crashpoints.processes import Life
from tests.support.samples import shipment

Document = dict[str, Any]
Happening = Callable[[World], Any]

LOOKUP, ROUTING, SCHEDULER = Life("lookup"), Life("routing"), Life("scheduler")
REPLAY, DROP = (Life("operator", ("dead", verb, EVT)) for verb in ("replay", "drop"))


@dataclass(frozen=True)
class EventPath:
    """acts: lives and happenings in their order. victims: which of the lives are killed at each of
    their steps (numbers among the acts). The rest is what the undisturbed run must end in:
    outcome: the ledger's, of every event; status, applied: the shipment's; calls: successful ones
    of the Routing Service; redis: state of each event."""

    acts: tuple[Life | Happening, ...]
    victims: tuple[int, ...]
    redis: dict[str, str]
    outcome: str | None = "routed"
    status: str = "delivery_failed"
    applied: int = 1
    calls: int = 1


def accepted(status: str = "delivery_failed", shipment: str = "SHP-1") -> Happening:
    return lambda world: world.accept(status, shipment=shipment)


def routing(**behaviour: Any) -> Happening:
    return lambda world: world.routing(**behaviour)


def hours_pass(hours: float) -> Happening:
    return lambda world: world.hours_pass(hours)


def the_shipment_appears(world: World) -> None:
    world.database["shipments"].insert_one(shipment("SHP-2"))


def the_shipment_has_a_long_history(world: World) -> None:
    """So long that ids must leave ``recent_events``, which the ledger has to allow: of one it does
    not know that it was applied."""
    ids = [f"bench:old_{n}" for n in range(32)]
    world.database["shipments"].update_one(
        {"_id": "SHP-1"}, {"$set": {"recent_events": ids, "events_applied": 32}}
    )
    world.database["events"].insert_many(
        [{"_id": id, "state": "done", "fence": 1, "applied_at": "long ago"} for id in ids[1:]]
    )


def redis_knows_no_script(world: World) -> None:
    world.scripts(known=False)


def mongo_refuses(*commands: str) -> Happening:
    return lambda world: world.mongo_refuses(*commands)


def a_scheduler_has_work(world: World) -> None:
    """A retry that is due, an expired lock of each lane, an expired one whose event has crashed
    once too often, a tombstone to be trimmed, and an event that waits."""
    queue = world.queue
    for id in ("bench:finished", "bench:retried", "bench:forwarded", "bench:poison"):
        world.accept(id=id)
    finished, retried, forwarded, _ = queue.reserve(
        "lookup", 4, owner="host/gone", boot="boot", lease_seconds=60
    )
    queue.done(finished, "recorded")
    world.hours_pass(25)  # the tombstone's window is over, the lock on the poison as well
    queue.retry(retried, 60, "status 500")
    queue.forward(forwarded)
    queue.reserve("routing", 1, owner="host/gone", boot="boot", lease_seconds=60)
    world.accept(id="bench:locked")
    queue.reserve("lookup", 1, owner="host/gone", boot="boot", lease_seconds=60)
    world.accept(id="bench:waiting")
    world.store.hset(queue.keys.event("bench:poison"), "crashes", 4)
    world.hours_pass(1)


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
        (accepted("in_transit"), redis_knows_no_script, LOOKUP),
        (2,),
        DONE,
        outcome="recorded",
        status="in_transit",
        calls=0,
    ),
    "status only, long history": EventPath(
        (the_shipment_has_a_long_history, accepted("in_transit"), LOOKUP),
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
            routing(fail_ratio=1),
            ROUTING,
            routing(),
            hours_pass(1),
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
            the_shipment_appears,
            hours_pass(1),
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
        (accepted(), LOOKUP, ROUTING, hours_pass(25), SCHEDULER, accepted(), LOOKUP), (4, 6), DONE
    ),
    "route that MongoDB did not take": EventPath(
        (
            accepted(),
            LOOKUP,
            mongo_refuses("update"),
            ROUTING,
            mongo_refuses(),
            hours_pass(1),
            SCHEDULER,
            ROUTING,
        ),
        (3, 7),
        DONE,
    ),
    "dead letter": EventPath(
        (accepted(), LOOKUP, routing(fail_ratio=1, fail_status=400), ROUTING),
        (3,),
        {EVT: "dead"},
        outcome=None,
        calls=0,
    ),
    "dead letter, replayed": EventPath(
        (
            accepted(),
            LOOKUP,
            routing(fail_ratio=1, fail_status=400),
            ROUTING,
            routing(),
            REPLAY,
            LOOKUP,
            ROUTING,
        ),
        (5, 6, 7),
        DONE,
    ),
    "dead letter, dropped": EventPath(
        (accepted(), LOOKUP, routing(fail_ratio=1, fail_status=400), ROUTING, DROP),
        (4,),
        {EVT: "dropped"},
        outcome=None,
        calls=0,
    ),
    "scheduler": EventPath(
        (a_scheduler_has_work, SCHEDULER),
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
