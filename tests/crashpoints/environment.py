"""One Redis, one mongod, one Routing Service, emptied between runs, and the lives led in them."""

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
from tests.crashpoints.crash_point import Death
from tests.crashpoints.processes import Life, live
from tests.crashpoints.stores import Contents, clear, contents, fill
from tests.support.mongo_server import MongoServer
from tests.support.queue_moves import accept
from tests.support.samples import body, shipment
from tests.support.servers import RedisServer
from tests.support.simulator import Simulator
from workers import mongo

Document = dict[str, Any]
CHILD_SECONDS = 60.0  # far beyond any life: a child that takes longer hangs
EVT = "bench:evt_1"

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.crashpoints.template"])


class Lived(NamedTuple):
    """How a life went. killed: it died as it was to. steps: their names in order; background: what
    its other threads sent. heard: what somebody outside heard of it."""

    killed: bool
    steps: tuple[str, ...]
    background: tuple[str, ...] = ()
    heard: Any = None


class Checkpoint(NamedTuple):
    """A moment that can be gone back to. calls: successful ones of the Routing Service until then,
    by key; behaviour, refused: what fails; scripts: whether Redis knows them."""

    contents: Contents
    calls: Counter[str]
    behaviour: dict[str, Any]
    refused: tuple[str, ...]
    scripts: bool


class World:
    """What all lives share. folder: for their log and the locks on their names."""

    def __init__(
        self, redis: RedisServer, mongod: MongoServer, simulator: Simulator, folder: Path
    ) -> None:
        self.log = folder / "children.log"
        self.log.touch()
        self.store = redis.client()
        self.queue = Queue(RedisConnection(redis.url))
        self.database: Database[Document] = mongo.connect(f"{mongod.url}/steps", 1)
        self._raw = Redis.from_url(redis.url, protocol=2)
        self._routing, self._http = simulator.url, urllib3.PoolManager()
        self._calls: Counter[str] = Counter()
        self._behaviour: dict[str, Any] = {}
        self._refused: tuple[str, ...] = ()
        self._scripts = False
        self._environ = {
            "PATH": os.environ["PATH"],
            "PROFILE": "local",
            "REDIS_URL": redis.url,
            "MONGO_URL": f"{mongod.url}/steps",
            "ROUTING_URL": simulator.url,
            "RUN_DIR": str(folder),
            "REDIS_TIMEOUT_SECONDS": "10",
        }

    def close(self) -> None:
        self.store.close()
        self._raw.close()
        self.queue.connection.close()
        self.database.client.close()

    def begin(self) -> None:
        """Empty, but for SHP-1 with its open order; nothing fails."""
        clear(self._raw, self.database)
        self.scripts(known=True)
        self.database["shipments"].insert_one(shipment())
        self.database["orders"].insert_one({"_id": "ORD-1", "status": "open"})
        self.routing()
        self.mongo_refuses()
        self._forget_calls(Counter())

    def checkpoint(self) -> Checkpoint:
        """Of this moment, at which no process lives."""
        return Checkpoint(
            contents(self._raw, self.database),
            self.routed(),
            self._behaviour,
            self._refused,
            self._scripts,
        )

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go back: what came before a life need not be lived through anew for each death in it."""
        fill(self._raw, self.database, checkpoint.contents)
        self.routing(**checkpoint.behaviour)
        self.mongo_refuses(*checkpoint.refused)
        self.scripts(known=checkpoint.scripts)
        self._forget_calls(checkpoint.calls)

    def lead(
        self,
        life: Life,
        death: Death | None = None,
        *,
        outside: Callable[[], Any] = lambda: None,
        courier: socket.socket | None = None,
    ) -> Lived:
        """A process of that kind, from its start to its end. outside: what goes on meanwhile."""
        if life.role in LANES:  # a token, so that an idle one need not sleep out its time
            wake = f"{self.queue.keys.prefix}wake:{life.role}"
            self.store.delete(wake)
            self.store.lpush(wake, "1")
        journal, of_the_child = _context.Pipe(duplex=False)
        child = _context.Process(
            target=live, args=(life, self._environ, self.log, death, of_the_child, courier)
        )
        child.start()
        of_the_child.close()
        if courier is not None:
            courier.close()
        heard = outside()
        entries = list(_read(journal))
        child.join(CHILD_SECONDS)
        killed = child.exitcode == -signal.SIGKILL
        assert killed or child.exitcode == 0, self.log.read_text()[-4000:]
        assert death is not None or not killed
        child.close()
        return Lived(
            killed,
            tuple(name for n, name in entries if n),
            tuple(name for n, name in entries if not n),
            heard,
        )

    # ---- what happens outside of the processes

    def accept(
        self, status: str = "delivery_failed", id: str = EVT, shipment: str = "SHP-1"
    ) -> None:
        """The edge takes the event in, or knows it."""
        accept(self.queue, id, body=body(shipment, status))

    def routing(self, **behaviour: Any) -> None:
        """What the Routing Service does from here on; see docs/routing-simulator.md."""
        self._behaviour = behaviour
        self._http.request("PUT", f"{self._routing}/behaviour", json=behaviour)

    def routing_stats(self) -> dict[str, int]:
        """The Routing Service's own book."""
        found: dict[str, int] = self._http.request("GET", f"{self._routing}/stats").json()
        return found

    def routed(self) -> Counter[str]:
        """Idempotency key -> successful calls."""
        found = self._http.request("GET", f"{self._routing}/stats/keys").json()
        return self._calls + Counter(found)

    def _forget_calls(self, before: Counter[str]) -> None:
        self._calls = before
        self._http.request("DELETE", f"{self._routing}/stats")

    def mongo_refuses(self, *commands: str) -> None:
        """From here on these fail as they do while a mongod shuts down; none: it is well."""
        self._refused = commands
        point: Document = {"configureFailPoint": "failCommand", "mode": "off"}
        if commands:
            point |= {
                "mode": "alwaysOn",
                "data": {"failCommands": list(commands), "errorCode": 11600},
            }
        self.database.client.admin.command(point)

    def scripts(self, *, known: bool) -> None:
        """Whether Redis knows our scripts from here on: after a restart it does not."""
        self._scripts = known
        self.store.script_flush()
        for path in scripts.FOLDER.glob("*.lua") if known else ():
            self.store.script_load(scripts.load(path.stem).text)

    def hours_pass(self, hours: float) -> None:
        """Every time that something in Redis waits for comes that much nearer."""
        keys, ms = self.queue.keys, int(hours * 3_600_000)
        timed: Any = [keys.retry, keys.done, *map(keys.locks, LANES)]
        for name in timed:
            found: Any = self.store.zrange(name, 0, -1, withscores=True)
            for id, at in found:
                self.store.zadd(name, {id: at - ms})
                if name == keys.retry:
                    self.store.hincrby(keys.event(id), "next_at", -ms)


def _read(journal: Connection) -> Iterator[tuple[int, str]]:
    """Until the child has ended, and with it all its threads."""
    try:
        while True:
            assert journal.poll(CHILD_SECONDS), "a child hangs"
            yield journal.recv()
    except EOFError:
        journal.close()
