"""``python -m workers lookup|routing``: one worker process of a lane."""

from __future__ import annotations

import logging
import os
import random
import sys
import time
from collections.abc import Mapping
from typing import Any

from pymongo.database import Database

from conf.lifecycle import Stop, process_name, sources_without_secrets, start_process
from conf.settings import Settings
from conf.sources.model import Source
from scheduler.breaker import Breaker, BreakerPolicy
from scheduler.connection import RedisConnection
from scheduler.keys import LANES
from scheduler.queue import Queue
from scheduler.retry_policy import RetryPolicy
from workers import mongo
from workers.attempt import Attempts
from workers.breaker_gate import BreakerGate
from workers.concurrency_limit import ConcurrencyLimit
from workers.identity import Identity, take_name
from workers.lane import Lane
from workers.ledger import Ledger
from workers.lookup_lane import LookupLane, UnknownShipments
from workers.process import WorkerProcess
from workers.routing_client import RoutingClient, user_agent
from workers.routing_lane import RoutingLane
from workers.shipments import Shipments
from workers.store_gate import StoreGate

log = logging.getLogger("workers")


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in LANES:
        print(f"usage: python -m workers {'|'.join(LANES)}", file=sys.stderr)
        return 64  # EX_USAGE
    lane = arguments[0]
    name = process_name(f"worker-{lane}_00")
    settings = start_process(name)
    sources = sources_without_secrets(name, settings)
    os.nice(settings.worker_nice)
    stop = Stop()
    stop.install()
    identity = take_name(settings.host_name, name, settings.run_dir, stop)
    if identity is None:
        return 0
    slots = settings.lookup_threads if lane == "lookup" else settings.routing_threads
    process = compose(settings, sources, lane, slots, identity, stop)
    log.info("%s with %d slots, boot %s", identity.owner, slots, identity.boot)
    process.run()
    log.info("stopped (%s)", stop.reason)
    return 0


def compose(
    settings: Settings,
    sources: Mapping[str, Source],
    lane: str,
    slots: int,
    identity: Identity,
    stop: Stop,
) -> WorkerProcess:
    """The worker process of a lane, connected to nothing yet."""
    database = mongo.connect(settings.mongo_url, slots)
    ledger = Ledger(database)
    attempts = Attempts(
        lane=_lane(settings, sources, lane, slots, identity, database, ledger),
        ledger=ledger,
        store=StoreGate(lambda: mongo.answers(database)),
        policy=RetryPolicy(
            floor_seconds=settings.retry_floor_seconds,
            base_seconds=settings.retry_base_seconds,
            cap_seconds=settings.retry_cap_seconds,
            max_attempts=settings.max_attempts,
            max_age_seconds=settings.max_age_seconds,
        ),
        lease_seconds=settings.lease_seconds,
        clock=time.time,
        uniform=random.random,
    )
    return WorkerProcess(
        settings,
        attempts,
        identity,
        slots,
        lambda: Queue(RedisConnection(settings.redis_url)),
        stop,
    )


def _lane(
    settings: Settings,
    sources: Mapping[str, Source],
    lane: str,
    slots: int,
    identity: Identity,
    database: Database[dict[str, Any]],
    ledger: Ledger,
) -> Lane:
    shipments = Shipments(database)
    if lane == "lookup":
        unknown = UnknownShipments(
            settings.unknown_shipment_seconds, settings.unknown_retry_seconds
        )
        return LookupLane(
            sources, shipments, ledger, unknown, slots, clock=time.time, uniform=random.random
        )
    policy = BreakerPolicy(first_pause_seconds=settings.breaker_open_seconds)
    gate = BreakerGate(
        Breaker(RedisConnection(settings.redis_url), policy),
        identity.boot,
        settings.attempt_seconds,
    )
    caller = user_agent(identity.owner, identity.boot, os.getpid())
    client = RoutingClient(settings.routing_url, settings.routing_timeout_seconds, slots, caller)
    return RoutingLane(sources, shipments, ledger, client, gate, ConcurrencyLimit(slots))


if __name__ == "__main__":
    code = main(sys.argv[1:])
    logging.shutdown()
    # Not sys.exit, which would wait for threads that hang in a call. Nothing is left to flush.
    os._exit(code)
