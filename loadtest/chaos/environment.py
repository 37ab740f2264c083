"""The stack of a run and what stands around it: its stores behind wires, the Routing Service, the
shipments that the couriers will tell of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

from pymongo import MongoClient

from gateway.stack import home_directory, orphans
from gateway.stack.stack import Stack
from loadtest.chaos.background import Background, background
from loadtest.chaos.callers import Callers
from loadtest.chaos.generator import SHIPMENTS
from loadtest.chaos.network_faults import Wires
from loadtest.chaos.routing import RoutingService
from loadtest.chaos.stall_detector import Pulse
from loadtest.harness import stores
from loadtest.harness.accounts import Document

LEASE_SECONDS = 5.0
PATIENT_SECONDS, QUICK_SECONDS = 60.0, 0.2  # for MongoDB to answer
# Quick where the product is patient, so that everything can come to its end. No guarantee is
# touched: redis.conf, write concerns, attempts and crashes are those that ship.
SETTINGS = {
    "LEASE_SECONDS": f"{LEASE_SECONDS:g}",
    "ROUTING_TIMEOUT_SECONDS": "3",
    "ATTEMPT_SECONDS": "20",
    "RETRY_FLOOR_SECONDS": "0.1",
    "RETRY_BASE_SECONDS": "0.1",
    "RETRY_CAP_SECONDS": "2",
    "UNKNOWN_RETRY_SECONDS": "0.5",
    "BREAKER_OPEN_SECONDS": "0.3",
    "DRAIN_SECONDS": "3",
    "WEB_CONCURRENCY": "3",
    "LOOKUP_PROCESSES": "2",
    "LOOKUP_THREADS": "8",
    "ROUTING_PROCESSES": "2",
    "ROUTING_THREADS": "16",
    "WORKER_NICE": "0",  # one that the machine does not run loses its leases, to no purpose here
    "LOG_LEVEL": "DEBUG",  # for the stories
}


@dataclass
class Scene:
    """mongo, quick: clients of the server itself, a patient one and one that is not. keeper: the
    thread that starts the stack anew."""

    stack: Stack
    wires: Wires
    service: RoutingService
    loop: Background
    mongo: MongoClient[Document]
    quick: MongoClient[Document]
    pulse: Pulse
    keeper: Executor


def make_known(client: MongoClient[Document], shipment: str) -> None:
    """A shipment with an open order, as an import of orders would write it."""
    database = client[stores.DATABASE]
    number = shipment.rpartition("SHP-")[2]
    database["orders"].replace_one(
        {"_id": f"ORD-{number}"}, {"merchant_id": "MER-1", "status": "open"}, upsert=True
    )
    document: Document = {
        "order_id": f"ORD-{number}",
        "merchant_id": "MER-1",
        "courier": "bench",
        "status": "label_created",
        "active": True,
        "last_event_at": None,
        "events_applied": 0,
        "recent_events": [],
        "route": None,
    }
    database["shipments"].update_one({"_id": shipment}, {"$setOnInsert": document}, upsert=True)


@contextlib.contextmanager
def scene() -> Iterator[Scene]:
    """Everything up, and gone afterwards."""
    redis_port, mongo_port = home_directory.free_ports(2)
    with background() as loop, ThreadPoolExecutor(1, "keeper") as keeper:
        wires = Wires(loop.loop, redis_port, mongo_port)
        homes: list[Stack] = []
        pulse = Pulse()
        loop.begin(pulse.run())
        service = RoutingService(Callers(lambda: orphans.find(homes[0].home) if homes else []))
        wires.start()
        loop.run(service.start())
        try:
            env = {
                **SETTINGS,
                "LOCAL_REDIS_PORT": str(redis_port),
                "LOCAL_MONGO_PORT": str(mongo_port),
                "ROUTING_URL": service.url,
                "REDIS_URL": f"redis://127.0.0.1:{wires.port('Redis')}/0",
                "MONGO_URL": f"mongodb://127.0.0.1:{wires.port('Mongo')}/{stores.DATABASE}",
            }
            with (
                Stack.temporary(env, own=("redis", "mongod")) as stack,
                stores.mongo(mongo_port, PATIENT_SECONDS) as mongo,
                stores.mongo(mongo_port, QUICK_SECONDS) as quick,
            ):
                homes.append(stack)
                for number in range(SHIPMENTS):
                    make_known(mongo, f"SHP-{number}")
                yield Scene(stack, wires, service, loop, mongo, quick, pulse, keeper)
        finally:
            loop.run(service.stop())
            wires.stop()
