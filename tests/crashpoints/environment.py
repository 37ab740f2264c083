"""One Redis, one mongod and one Routing Service, reset between runs, and processes run on them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import urllib3
from pymongo.database import Database
from redis import Redis

from scheduler import scripts
from scheduler.connection import RedisConnection
from scheduler.keys import LANES
from scheduler.queue import Queue
from tests.crashpoints.crash_point import CrashPoint
from tests.crashpoints.processes import ProcessSpec, run_process
from tests.crashpoints.stores import Contents, clear, contents, fill
from tests.support.mongo_server import MongoServer
from tests.support.queue_moves import accept
from tests.support.samples import body, shipment
from tests.support.servers import RedisServer
from tests.support.simulator import Simulator
from workers import mongo

Document = dict[str, Any]
CHILD_SECONDS = 60.0  # far longer than any run: a child that takes longer hangs
EVT = "bench:evt_1"

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.crashpoints.template"])


class ProcessRun(NamedTuple):
    """killed: it reached its crash point. messages: the names of those it sent, in order.
    background: the same of its background threads. observed: what ``observe`` returned."""

    killed: bool
    messages: tuple[str, ...]
    background: tuple[str, ...] = ()
    observed: Any = None


class Checkpoint(NamedTuple):
    """A state to restore, at which no process runs. calls: successful calls of the Routing Service
    so far, by key. behaviour: the Routing Service's. failing: commands that MongoDB refuses.
    scripts: whether they are loaded in Redis."""

    contents: Contents
    calls: Counter[str]
    behaviour: dict[str, Any]
    failing: tuple[str, ...]
    scripts: bool


class Environment:
    """What all processes share. folder: for their log and the locks on their names."""

    def __init__(
        self, redis: RedisServer, mongod: MongoServer, simulator: Simulator, folder: Path
    ) -> None:
        self.log = folder / "children.log"
        self.log.touch()
        self.store = redis.client()
        self.queue = Queue(RedisConnection(redis.url))
        self.database: Database[Document] = mongo.connect(f"{mongod.url}/crashpoints", 1)
        self._raw = Redis.from_url(redis.url, protocol=2)
        self._routing, self._http = simulator.url, urllib3.PoolManager()
        self._calls: Counter[str] = Counter()
        self._behaviour: dict[str, Any] = {}
        self._failing: tuple[str, ...] = ()
        self._scripts = False
        self._environ = {
            "PATH": os.environ["PATH"],
            "PROFILE": "local",
            "REDIS_URL": redis.url,
            "MONGO_URL": f"{mongod.url}/crashpoints",
            "ROUTING_URL": simulator.url,
            "RUN_DIR": str(folder),
            "REDIS_TIMEOUT_SECONDS": "10",
        }

    def close(self) -> None:
        self.store.close()
        self._raw.close()
        self.queue.connection.close()
        self.database.client.close()

    def reset(self) -> None:
        """Empty both stores but for SHP-1 and its open order; let nothing fail."""
        clear(self._raw, self.database)
        self.load_scripts(True)
        self.database["shipments"].insert_one(shipment())
        self.database["orders"].insert_one({"_id": "ORD-1", "status": "open"})
        self.routing_behaves()
        self.mongo_fails()
        self._forget_calls(Counter())

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(
            contents(self._raw, self.database),
            self.successful_calls(),
            self._behaviour,
            self._failing,
            self._scripts,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Return to the checkpoint, so that each crash point needs no run of what came before."""
        fill(self._raw, self.database, checkpoint.contents)
        self.routing_behaves(**checkpoint.behaviour)
        self.mongo_fails(*checkpoint.failing)
        self.load_scripts(checkpoint.scripts)
        self._forget_calls(checkpoint.calls)

    def run(
        self,
        spec: ProcessSpec,
        crash_point: CrashPoint | None = None,
        *,
        observe: Callable[[], Any] = lambda: None,
        courier: socket.socket | None = None,
    ) -> ProcessRun:
        """Run such a process from its start to its end. observe: called while it runs. courier:
        the edge's end of its connection to a courier."""
        if (
            spec.role in LANES
        ):  # a wake-up token, so that an idle worker does not wait its full time
            wake = f"{self.queue.keys.prefix}wake:{spec.role}"
            self.store.delete(wake)
            self.store.lpush(wake, "1")
        journal, child_journal = _context.Pipe(duplex=False)
        child = _context.Process(
            target=run_process,
            args=(spec, self._environ, self.log, crash_point, child_journal, courier),
        )
        child.start()
        child_journal.close()
        if courier is not None:
            courier.close()
        observed = observe()
        entries = list(_read(journal))
        child.join(CHILD_SECONDS)
        killed = child.exitcode == -signal.SIGKILL
        assert killed or child.exitcode == 0, self.log.read_text()[-4000:]
        assert crash_point is not None or not killed
        child.close()
        return ProcessRun(
            killed,
            tuple(name for n, name in entries if n),
            tuple(name for n, name in entries if not n),
            observed,
        )

    # ---- changes outside of the processes

    def accept(
        self, status: str = "delivery_failed", id: str = EVT, shipment: str = "SHP-1"
    ) -> None:
        """As the edge does; a duplicate if the event is known."""
        accept(self.queue, id, body=body(shipment, status))

    def routing_behaves(self, **behaviour: Any) -> None:
        """Script the Routing Service; see docs/routing-simulator.md."""
        self._behaviour = behaviour
        self._http.request("PUT", f"{self._routing}/behaviour", json=behaviour)

    def routing_stats(self) -> dict[str, int]:
        """The Routing Service's own counters."""
        found: dict[str, int] = self._http.request("GET", f"{self._routing}/stats").json()
        return found

    def successful_calls(self) -> Counter[str]:
        """Idempotency key -> successful calls."""
        found = self._http.request("GET", f"{self._routing}/stats/keys").json()
        return self._calls + Counter(found)

    def _forget_calls(self, before: Counter[str]) -> None:
        self._calls = before
        self._http.request("DELETE", f"{self._routing}/stats")

    def mongo_fails(self, *commands: str) -> None:
        """Let these commands fail, and no others, as they do while a mongod shuts down."""
        self._failing = commands
        point: Document = {"configureFailPoint": "failCommand", "mode": "off"}
        if commands:
            point |= {
                "mode": "alwaysOn",
                "data": {"failCommands": list(commands), "errorCode": 11600},
            }
        self.database.client.admin.command(point)

    def load_scripts(self, loaded: bool) -> None:
        """loaded: False for a Redis as after a restart, without the scripts."""
        self._scripts = loaded
        self.store.script_flush()
        for path in scripts.FOLDER.glob("*.lua") if loaded else ():
            self.store.script_load(scripts.load(path.stem).text)

    def advance_hours(self, hours: float) -> None:
        """Move every due time in Redis forward by that much, as if the time had passed."""
        keys, ms = self.queue.keys, int(hours * 3_600_000)
        timed: Any = [keys.retry, keys.done, *map(keys.locks, LANES)]
        for name in timed:
            found: Any = self.store.zrange(name, 0, -1, withscores=True)
            for id, at in found:
                self.store.zadd(name, {id: at - ms})
                if name == keys.retry:
                    self.store.hincrby(keys.event(id), "next_at", -ms)


def _read(journal: Connection) -> Iterator[tuple[int, str]]:
    """The journal, until the child has ended and with it all its threads."""
    try:
        while True:
            assert journal.poll(CHILD_SECONDS), "a child hangs"
            yield journal.recv()
    except EOFError:
        journal.close()
