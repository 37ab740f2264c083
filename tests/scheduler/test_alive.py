"""alive: a process reports that it is running; without new reports its key expires."""

from __future__ import annotations

from redis import Redis

from scheduler.queue import Queue
from tests.support.servers import await_true
from tests.support.store_snapshot import dump


def test_a_process_is_listed_for_its_ttl(queue: Queue, store: Redis) -> None:
    queue.alive("host/worker-routing_00", {"pid": 7, "lane": "routing", "busy": 3}, 40)
    snapshot = dump(store)
    assert 39_000 < snapshot.pop("gw:proc:host/worker-routing_00 (ttl)") <= 40_000
    assert snapshot == {
        "gw:proc:host/worker-routing_00": {"pid": "7", "lane": "routing", "busy": "3"}
    }


def test_each_report_replaces_the_one_before(queue: Queue, store: Redis) -> None:
    queue.alive("host/w", {"pid": 7, "busy": 3}, 1)
    queue.alive("host/w", {"pid": 7, "busy": 4}, 40)
    snapshot = dump(store)
    assert snapshot["gw:proc:host/w"] == {"pid": "7", "busy": "4"}
    assert snapshot["gw:proc:host/w (ttl)"] > 39_000


def test_a_process_that_does_not_report_expires(queue: Queue, store: Redis) -> None:
    queue.alive("host/w", {"pid": 7}, 0.05)
    await_true(lambda: dump(store) == {})
