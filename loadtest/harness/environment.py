"""The test environment of a benchmark and of the soak: a whole stack of its own, with clients."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.database import Database

from conf.sources.statuses import Status
from gateway.cli.seed import insert_missing
from gateway.stack.stack import Stack
from loadtest.harness import signed
from loadtest.harness.pipeline import pipelined
from loadtest.harness.simulator import Simulator
from loadtest.harness.wait import RunFailed, wait_until
from scheduler.accept_command import Caps
from scheduler.connection import RedisConnection
from scheduler.keys import Keys
from scheduler.queue import Queue
from workers import mongo

WORKERS = ("worker-lookup:*", "worker-routing:*")
UNDER_WAY = 200  # commands at once when a queue is filled
NO_CAPS = Caps(10**9, 10**12, 10**9)


@dataclass(frozen=True)
class Options:
    """quick: shorter runs. settings: override those of every stack, for experiments."""

    quick: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)

    def pick(self, full: int, quick: int) -> int:
        return quick if self.quick else full


class Environment:
    """Its connections belong to the thread that made it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.redis = RedisConnection(stack.redis_url, 30)
        self.queue = Queue(self.redis)
        self.mongo: Database[dict[str, Any]] = mongo.connect(stack.mongo_url, 1)
        self.simulator = Simulator(stack.routing_url)
        self.folder = stack.home
        self.url = f"{stack.gateway_url}/v1/events/{signed.SOURCE}"

    def stat(self, name: str) -> int:
        """A counter of the queue. A plain HGET, so that reading it is not counted as a verb."""
        return int(float(self.redis.command("HGET", Keys().stats, name) or 0))

    def used_memory_bytes(self) -> int:
        """The memory that Redis uses."""
        lines = self.redis.command("INFO", "memory").decode().splitlines()
        return int(dict(line.split(":", 1) for line in lines if ":" in line)["used_memory"])

    def fsync(self, policy: str) -> None:
        self.redis.command("CONFIG", "SET", "appendfsync", policy)

    def empty(self) -> None:
        """Nothing in Redis, and nothing left in its file that it would rewrite during the run."""
        self.redis.command("FLUSHALL")
        self.redis.command("BGREWRITEAOF")
        idle = b"aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0"
        wait_until(
            lambda: idle in self.redis.command("INFO", "persistence"),
            30,
            "Redis to rewrite its file",
        )

    def stop_workers(self) -> None:
        self.stack.ctl("stop", *WORKERS)
        running = [
            process.name
            for process in self.stack.supervisor.processes()
            if process.name.startswith("worker-") and process.state != "STOPPED"
        ]
        if running:
            raise RunFailed(f"did not stop: {', '.join(running)}")

    def start_workers(self) -> None:
        """Start all programs at once; returns when supervisord counts them as running, after a
        second or so."""
        self.stack.ctl("start", "all")

    def preload(self, prefix: str, count: int, statuses: Sequence[Status]) -> None:
        """Put events into the queue by its own verb, past the edge."""
        queue, pipeline = pipelined(self.stack.redis_url)
        try:
            for number, (event, body) in enumerate(signed.events(prefix, count, statuses), 1):
                queue.accept(signed.incoming(event, body), NO_CAPS)
                if number % UNDER_WAY == 0:
                    pipeline.settle()
            pipeline.settle()
        finally:
            pipeline.close()

    def wait_done(self, count: int, seconds: float) -> None:
        """Wait until ``count`` events have been done since the stack started."""
        wait_until(lambda: self.stat("done") >= count, seconds, f"{count} events to be done")
        self.raise_if_dead()

    def raise_if_dead(self) -> None:
        if dead := self.stat("buried"):
            raise RunFailed(f"{dead} events were dead-lettered")


@contextlib.contextmanager
def started(options: Options, settings: Mapping[str, str] | None = None) -> Iterator[Environment]:
    """A stack with seeded shipments, stopped and removed afterwards."""
    environ = {
        "LOG_LEVEL": "WARNING",
        "BACKLOG_MAX_EVENTS": "10000000",
        **(settings or {}),
        **options.settings,
    }
    with Stack.temporary(environ) as stack:
        env = Environment(stack)
        wait_until(env.simulator.answers, 20, "the simulator to listen")
        wait_until(lambda: mongo.answers(env.mongo), 30, "mongod to answer")
        insert_missing(env.mongo, signed.SHIPMENTS)
        try:
            yield env
        finally:
            env.redis.close()
            env.mongo.client.close()
