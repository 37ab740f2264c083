"""The test environment of a run: the stack, with its stores behind proxies, the Routing Service,
and the shipments that the events are about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

from pymongo import MongoClient

from gateway.stack import home_directory
from gateway.stack.stack import Stack
from loadtest.chaos.background import Background, background
from loadtest.chaos.generator import SHIPMENTS
from loadtest.chaos.network_faults import MONGO, REDIS, NetworkFaults
from loadtest.chaos.routing import RoutingService
from loadtest.chaos.stall_detector import StallDetector
from loadtest.harness import stores
from loadtest.harness.accounts import Document
from loadtest.harness.simulator import Simulator

LEASE_SECONDS = 5.0
PATIENT_SECONDS, IMPATIENT_SECONDS = 60.0, 0.2  # for MongoDB to answer
# Shorter waits than those that ship, so that every event comes to its end. No guarantee is touched:
# redis.conf, write concerns, attempts and crashes are those that ship.
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
    "WORKER_NICE": "0",  # a worker without CPU time loses its leases, which tests nothing here
    "LOG_LEVEL": "DEBUG",  # for the timelines
}


@dataclass
class Environment:
    """redis_url, mongo_url: of the servers themselves, past the proxies. mongo, impatient_mongo:
    clients of that server. stack_thread: starts the stack again; a stack ends with the thread that
    started it."""

    stack: Stack
    network: NetworkFaults
    service: RoutingService
    simulator: Simulator
    loop: Background
    redis_url: str
    mongo_url: str
    mongo: MongoClient[Document]
    impatient_mongo: MongoClient[Document]
    stall_detector: StallDetector
    stack_thread: Executor


def add_shipment(client: MongoClient[Document], shipment: str) -> None:
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
def started() -> Iterator[Environment]:
    """Everything up, stopped and removed afterwards."""
    redis_port, mongo_port = home_directory.free_ports(2)
    redis_url = f"redis://127.0.0.1:{redis_port}/0"
    mongo_url = f"mongodb://127.0.0.1:{mongo_port}/{stores.DATABASE}"
    with background() as loop, ThreadPoolExecutor(1, "stack") as stack_thread:
        network = NetworkFaults(loop, redis_port, mongo_port)
        stall_detector = StallDetector()
        loop.begin(stall_detector.run())
        service = RoutingService()
        network.start()
        loop.run(service.start())
        try:
            env = {
                **SETTINGS,
                "LOCAL_REDIS_PORT": str(redis_port),
                "LOCAL_MONGO_PORT": str(mongo_port),
                "ROUTING_URL": service.url,
                "REDIS_URL": f"redis://127.0.0.1:{network.port(REDIS)}/0",
                "MONGO_URL": f"mongodb://127.0.0.1:{network.port(MONGO)}/{stores.DATABASE}",
            }
            with (
                Stack.temporary(env, own=("redis", "mongod")) as stack,
                stores.mongo(mongo_url, PATIENT_SECONDS) as mongo,
                stores.mongo(mongo_url, IMPATIENT_SECONDS) as impatient_mongo,
            ):
                for number in range(SHIPMENTS):
                    add_shipment(mongo, f"SHP-{number}")
                yield Environment(
                    stack,
                    network,
                    service,
                    Simulator(service.url),
                    loop,
                    redis_url,
                    mongo_url,
                    mongo,
                    impatient_mongo,
                    stall_detector,
                    stack_thread,
                )
        finally:
            loop.run(service.stop())
            network.stop()
