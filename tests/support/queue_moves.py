"""Steps that many tests are made of."""

from __future__ import annotations

from typing import Any

from redis import Redis

from scheduler.accept_command import Caps
from scheduler.events import Acceptance, IncomingEvent, Promotion, Reserved
from scheduler.keys import Keys, LaneName
from scheduler.queue import Queue

CAPS = Caps(max_events=1000, max_bytes=1_000_000, max_dead=100)
ID = "bench:1"
KEYS = Keys()


def accept(
    queue: Queue,
    id: str = ID,
    *,
    body: bytes = b'{"n":1}',
    digest: str = "d1",
    caps: Caps = CAPS,
    secret_label: str = "KEY",
    quota: tuple[float, float] = (0, 0),
) -> Acceptance:
    """Accept an event; its source is the first part of its id. quota: per second, burst."""
    event = IncomingEvent(id, id.split(":")[0], body, digest, secret_label, *quota)
    return queue.accept(event, caps)


def take(
    queue: Queue,
    n: int = 1,
    *,
    lane: LaneName = "lookup",
    owner: str = "host/w",
    boot: str = "b1",
    lease_seconds: float = 15,
    quarantined: int = 1,
) -> list[Reserved]:
    return queue.reserve(
        lane, n, owner=owner, boot=boot, lease_seconds=lease_seconds, quarantined=quarantined
    )


def take_one(queue: Queue, **more: Any) -> Reserved:
    [event] = take(queue, 1, **more)
    return event


def held(queue: Queue, id: str = ID, **more: Any) -> Reserved:
    """A new event, locked in the lookup lane."""
    accept(queue, id)
    return take_one(queue, **more)


def held_for_routing(queue: Queue, id: str = ID, **more: Any) -> Reserved:
    queue.forward(held(queue, id))
    return take_one(queue, lane="routing", **more)


def dead_lettered(queue: Queue, id: str = ID) -> Reserved:
    event = held(queue, id)
    queue.bury(event, "permanent", "no such place")
    return event


def promote(
    queue: Queue,
    *,
    lease_seconds: float = 15,
    max_crashes: int = 5,
    dedup_window_seconds: float = 86400,
    tombstones_max: int = 1000,
    remember_at_least_seconds: float = 0,
    batch: int = 500,
) -> Promotion:
    return queue.promote(
        lease_seconds=lease_seconds,
        max_crashes=max_crashes,
        dedup_window_seconds=dedup_window_seconds,
        tombstones_max=tombstones_max,
        remember_at_least_seconds=remember_at_least_seconds,
        batch=batch,
    )


def expire(store: Redis, *ids: str, lane: LaneName = "lookup") -> None:
    """End the leases of locked events."""
    store.zadd(KEYS.locks(lane), dict.fromkeys(ids, 1), xx=True)


def make_due(store: Redis, *ids: str) -> None:
    """Make the next attempts of events in retry due."""
    for id in ids:
        store.zadd(KEYS.retry, {id: 1}, xx=True)
        store.hset(KEYS.event(id), "next_at", 1)


def crash(queue: Queue, store: Redis, times: int, id: str = ID) -> None:
    """Let the holder of a ready event crash, so often."""
    for _ in range(times):
        event = take_one(queue)
        assert event.id == id
        expire(store, id)
        promote(queue)
