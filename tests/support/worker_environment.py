"""A whole gateway behind the edge, in stores of a test's own, with workers that the test starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymongo.database import Database
from redis import Redis

from scheduler.keys import Keys, LaneName
from scheduler.queue import Queue
from tests.support.queue_moves import accept, expire, promote
from tests.support.samples import EARLIER, body, shipment
from tests.support.servers import await_true
from tests.support.worker_process import RealWorker, Spoil

Document = dict[str, Any]
KEYS = Keys()
SLOTS = 64
MAX_CRASHES = 5


@dataclass
class Scene:
    """Both stores, a Routing Service, and the workers of a test. deaths: of them."""

    redis: Redis
    queue: Queue
    mongo: Database[Document]
    settings: dict[str, str]
    folder: Path
    workers: list[RealWorker] = field(default_factory=list)
    deaths: int = 0

    def post(self, *names: str, status: str = "delivery_failed") -> list[str]:
        """An event for each shipment, which is made as well; the ids."""
        self.mongo["shipments"].insert_many([shipment(name) for name in names])
        return [self.send(name, name, status) for name in names]

    def send(self, event: str, name: str, status: str, at: str = EARLIER) -> str:
        """One event more for a shipment; its id."""
        done = accept(self.queue, f"bench:{event}", body=body(name, status, at))
        assert done.code == "accepted"
        return f"bench:{event}"

    def start(self, lane: str, name: str, spoil: Spoil | None = None) -> RealWorker:
        worker = RealWorker(lane, name, self.settings, self.folder, spoil).start()
        self.workers.append(worker)
        return worker

    def forward_all(self) -> None:
        """The lookup lane's part, by a worker that nothing happens to."""
        worker = self.start("lookup", "forerunner")
        await_true(
            lambda: (
                self.redis.hget(KEYS.stats, "backlog")
                == str(self.redis.llen(KEYS.ready("routing", "bench")))
            ),
            60,
            "all forwarded",
        )
        worker.kill()  # it holds nothing any more

    def keep(self, lane: LaneName, spoil: Spoil, returns: bool) -> Callable[[], bool]:
        """A worker of the lane that is started again when it dies, under its name, or under another
        when its leases have ended. Call the result until it is True: nothing is left to do."""
        names = (f"{lane}-{0 if returns else n}" for n in range(100))
        worker = self.start(lane, next(names), spoil)

        def look() -> bool:
            nonlocal worker
            if not worker.process.is_alive():
                assert worker.await_end() == -9
                self.deaths += 1
                if not returns:
                    self.end_leases(lane)
                worker = self.start(lane, next(names), spoil)
            return self.redis.hget(KEYS.stats, "backlog") == "0"

        return look

    def end_leases(self, lane: LaneName) -> None:
        """Let every lease of the lane be over, and the scheduler see it."""
        locked: list[Any] = self.redis.zrange(KEYS.locks(lane), 0, -1)
        if locked:
            expire(self.redis, *locked, lane=lane)
        promote(self.queue, lease_seconds=3600, max_crashes=MAX_CRASHES)

    def state(self, id: str) -> str:
        fields: list[Any] = self.redis.hmget(KEYS.event(id), "state", "reason")
        return " ".join(filter(None, fields))

    def assert_one_effect(self, id: str) -> None:
        """It is the only one of its shipment, and was routed."""
        name = id.removeprefix("bench:")
        found = self.mongo["shipments"].find_one({"_id": name}) or {}
        assert (found["events_applied"], found["recent_events"]) == (1, [id])
        assert found["route"]["event_id"] == id
        entry = self.mongo["events"].find_one({"_id": id}) or {}
        assert (entry["state"], entry["outcome"]) == ("done", "routed")
