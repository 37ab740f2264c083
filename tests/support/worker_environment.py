"""Both stores, a Routing Service and worker processes that a test starts, kills and restarts."""

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
from tests.support.worker_process import Fault, RealWorker

Document = dict[str, Any]
KEYS = Keys()
SLOTS = 64
MAX_CRASHES = 5


@dataclass
class WorkerEnvironment:
    """settings: of the workers to come. kills: how many workers were killed so far."""

    redis: Redis
    queue: Queue
    mongo: Database[Document]
    settings: dict[str, str]
    folder: Path
    workers: list[RealWorker] = field(default_factory=list)
    kills: int = 0

    def post(self, *names: str, status: str = "delivery_failed") -> list[str]:
        """Create these shipments and accept one event for each. Returns the ids of the events."""
        self.mongo["shipments"].insert_many([shipment(name) for name in names])
        return [self.send(name, name, status) for name in names]

    def send(self, event: str, name: str, status: str, at: str = EARLIER) -> str:
        """Accept an event for an existing shipment. Returns its id."""
        acceptance = accept(self.queue, f"bench:{event}", body=body(name, status, at))
        assert acceptance.code == "accepted"
        return f"bench:{event}"

    def start(self, lane: str, name: str, fault: Fault | None = None) -> RealWorker:
        worker = RealWorker(lane, name, self.settings, self.folder, fault).start()
        self.workers.append(worker)
        return worker

    def forward_all(self) -> None:
        """Process the lookup lane until every event is in the routing lane."""
        worker = self.start("lookup", "forwarder")
        await_true(
            lambda: (
                self.redis.hget(KEYS.stats, "backlog")
                == str(self.redis.llen(KEYS.ready("routing", "bench")))
            ),
            60,
            "all forwarded",
        )
        worker.kill()  # it holds no events now

    def supervise(self, lane: LaneName, fault: Fault, same_name: bool) -> Callable[[], bool]:
        """Start a worker of the lane. Each call of the result starts it again if it was killed:
        under the same name, or else under another after its leases have ended. The result returns
        True when the backlog is empty."""
        names = (f"{lane}-{0 if same_name else n}" for n in range(100))
        worker = self.start(lane, next(names), fault)

        def backlog_is_empty() -> bool:
            nonlocal worker
            if not worker.process.is_alive():
                assert worker.await_end() == -9
                self.kills += 1
                if not same_name:
                    self.end_leases(lane)
                worker = self.start(lane, next(names), fault)
            return self.redis.hget(KEYS.stats, "backlog") == "0"

        return backlog_is_empty

    def end_leases(self, lane: LaneName) -> None:
        """Let every lease of the lane expire, and promote the events."""
        locked: list[Any] = self.redis.zrange(KEYS.locks(lane), 0, -1)
        if locked:
            expire(self.redis, *locked, lane=lane)
        promote(self.queue, lease_seconds=3600, max_crashes=MAX_CRASHES)

    def state(self, id: str) -> str:
        fields: list[Any] = self.redis.hmget(KEYS.event(id), "state", "reason")
        return " ".join(filter(None, fields))

    def assert_one_effect(self, id: str) -> None:
        """The event, the only one of its shipment, was applied once and routed."""
        name = id.removeprefix("bench:")
        found = self.mongo["shipments"].find_one({"_id": name}) or {}
        assert (found["events_applied"], found["recent_events"]) == (1, [id])
        assert found["route"]["event_id"] == id
        entry = self.mongo["events"].find_one({"_id": id}) or {}
        assert (entry["state"], entry["outcome"]) == ("done", "routed")
