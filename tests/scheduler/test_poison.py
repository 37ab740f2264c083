"""Poison: an event that crashes its workers is dead-lettered, others in the same process are
not."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from redis import Redis

from scheduler.connection import RedisConnection
from scheduler.events import Reserved
from scheduler.queue import Queue
from tests.support.queue_moves import KEYS, accept, crash, expire, promote, take_one
from tests.support.servers import RedisServer
from tests.support.store_audit import audit
from tests.support.store_snapshot import changes, dump

MAX_CRASHES = 5


def reserve(queue: Queue, n: int = 9, *, owner: str = "host/w", held: int = 0) -> list[str]:
    taken = queue.reserve(
        "lookup", n, owner=owner, boot="b1", lease_seconds=900, held=held, max_crashes=MAX_CRASHES
    )
    return [event.id for event in taken]


def last_chance(queue: Queue, store: Redis, id: str) -> None:
    """The only ready event is exclusive: its next crash would dead-letter it."""
    accept(queue, id)
    crash(queue, store, MAX_CRASHES - 1, id)
    store.delete(KEYS.wake("lookup"))


# ---- exclusive events


def test_an_event_whose_next_crash_would_dead_letter_it_is_taken_exclusively(
    queue: Queue, store: Redis
) -> None:
    last_chance(queue, store, "a:1")
    accept(queue, "a:2")
    assert reserve(queue) == ["a:1"]
    assert reserve(queue, held=1) == ["a:2"]  # a worker does not reserve while it holds the first


def test_a_process_that_holds_events_leaves_it_and_gets_nothing_until_it_holds_none(
    queue: Queue, store: Redis
) -> None:
    last_chance(queue, store, "b:1")
    accept(queue, "a:1")
    accept(queue, "a:2")
    store.lmove(KEYS.turn("lookup"), KEYS.turn("lookup"), "LEFT", "RIGHT")  # source a is the next
    before = dump(store)
    assert reserve(queue) == ["a:1"]
    changed = changes(before, dump(store))
    assert changed["alone:lookup"] == b"host/w"
    assert changed["turn:lookup"] == ["!suspects", "a"]
    store.delete(KEYS.wake("lookup"))
    before = dump(store)
    assert reserve(queue, held=1) == []
    assert "wake:lookup" not in changes(before, dump(store))
    assert reserve(queue) == ["b:1"]
    assert not store.exists(KEYS.exclusive("lookup"))


def test_one_process_waits_for_an_exclusive_event_and_the_others_go_on(
    queue: Queue, store: Redis
) -> None:
    last_chance(queue, store, "a:1")
    for n in range(2, 6):
        accept(queue, f"a:{n}")
    assert reserve(queue, 1, owner="host/one", held=3) == []
    assert reserve(queue, 2, owner="host/two", held=3) == ["a:2", "a:3"]
    assert reserve(queue, 1, owner="host/one", held=2) == []
    assert reserve(queue, 1, owner="host/two", held=3) == ["a:4"]
    assert reserve(queue, 1, owner="host/one") == ["a:1"]


def test_a_process_that_holds_nothing_takes_it_although_another_waits_for_it(
    queue: Queue, store: Redis
) -> None:
    last_chance(queue, store, "a:1")
    accept(queue, "a:2")
    assert reserve(queue, owner="host/one", held=3) == []
    assert reserve(queue, owner="host/two") == ["a:1"]
    assert reserve(queue, owner="host/one", held=3) == ["a:2"]


def test_when_the_waiting_process_is_gone_another_one_waits(queue: Queue, store: Redis) -> None:
    last_chance(queue, store, "a:1")
    assert reserve(queue, owner="host/gone", held=3) == []
    assert 0 < store.pttl(KEYS.exclusive("lookup")) <= 5000
    store.delete(KEYS.exclusive("lookup"))  # its TTL ended
    assert reserve(queue, owner="host/two", held=3) == []
    assert store.get(KEYS.exclusive("lookup")) == "host/two"


def test_only_one_of_two_exclusive_events_is_taken(queue: Queue, store: Redis) -> None:
    last_chance(queue, store, "a:1")
    first = take_one(queue)
    last_chance(queue, store, "a:2")
    queue.defer(first, 0, "process_stopped")
    assert reserve(queue) == ["a:1"]
    assert reserve(queue, owner="host/two") == ["a:2"]


def test_a_process_that_holds_a_quarantined_event_passes_over_an_exclusive_one(
    queue: Queue, store: Redis
) -> None:
    last_chance(queue, store, "a:1")
    accept(queue, "a:2")
    taken = queue.reserve(
        "lookup",
        9,
        owner="host/w",
        boot="b1",
        lease_seconds=900,
        quarantined=0,
        held=1,
        max_crashes=MAX_CRASHES,
    )
    assert [event.id for event in taken] == ["a:2"]


# ---- several workers


@dataclass
class Process:
    """Reserves like a worker; poison crashes it at some time, with all that it holds."""

    queue: Queue
    store: Redis
    name: str
    returns: bool  # starts again under its name and reclaims; otherwise its leases end
    slots: int = 16
    boot: int = 0
    held: dict[str, Reserved] = field(default_factory=dict)

    def fetch(self) -> None:
        worst = max((event.crashes for event in self.held.values()), default=0)
        if worst >= MAX_CRASHES - 1:
            return
        taken = self.queue.reserve(
            "lookup",
            self.slots - len(self.held),
            owner=self.owner,
            boot=str(self.boot),
            lease_seconds=900,
            quarantined=0 if worst >= 2 else 1,
            held=len(self.held),
            max_crashes=MAX_CRASHES,
        )
        self.held |= {event.id: event for event in taken}

    @property
    def owner(self) -> str:
        return f"host/{self.name}" if self.returns else f"host/{self.name}.{self.boot}"

    def crash(self) -> None:
        lost, self.held = list(self.held), {}
        self.boot += 1
        if self.returns:
            self.queue.reclaim("lookup", self.owner, str(self.boot), MAX_CRASHES)
        else:
            expire(self.store, *lost)
            promote(self.queue, lease_seconds=900, max_crashes=MAX_CRASHES)

    def finish(self, ids: list[str]) -> None:
        for id in ids:
            self.queue.done(self.held.pop(id), "recorded")


def poisonous(process: Process) -> bool:
    return any(id.startswith("poison") for id in process.held)


def state(store: Redis, id: str) -> str:
    fields: list[Any] = store.hmget(KEYS.event(id), "state", "reason")
    return " ".join(filter(None, fields))


@pytest.mark.parametrize("returns", [True, False], ids=["reclaim", "expiry"])
def test_an_event_that_shares_processes_with_poison_is_not_dead_lettered(
    bare_queue: Queue, store: Redis, returns: bool
) -> None:
    """Each arrives when the one before it is dead, and crashes before the other event can end."""
    process = Process(bare_queue, store, "w", returns)
    accept(bare_queue, "harmless:1")
    for n in range(5):
        accept(bare_queue, f"poison:{n}")
        while state(store, f"poison:{n}") != "dead poison":
            process.fetch()
            if poisonous(process):
                process.crash()
            else:
                process.finish(list(process.held))
    assert state(store, "harmless:1") == "done"
    assert store.zcard(KEYS.dead) == 5
    audit(dump(store))


@pytest.mark.parametrize("returns", [True, False], ids=["reclaim", "expiry"])
@pytest.mark.parametrize("seed", range(3))
def test_of_many_events_exactly_the_poisonous_ones_are_dead_lettered(
    hasty_server: RedisServer, seed: int, returns: bool
) -> None:
    """Three workers under full load. One event in ten kills its process, after a while."""
    bare_queue, store, random = (
        Queue(RedisConnection(hasty_server.url)),
        hasty_server.client(),
        Random(seed),
    )
    poison = [f"poison:{n}" for n in range(15)]
    harmless = [f"{source}:{n}" for source in ("a", "b") for n in range(70)]
    waiting = poison + harmless
    random.shuffle(waiting)
    fleet = [Process(bare_queue, store, f"w{n}", returns) for n in range(3)]
    for _ in range(3000):
        for id in (waiting.pop() for _ in range(min(3, len(waiting)))):
            accept(bare_queue, id)
        process = random.choice(fleet)
        process.fetch()
        if poisonous(process) and random.random() < 0.6:
            process.crash()
        ends = [id for id in process.held if not id.startswith("poison") and random.random() < 0.3]
        process.finish(ends)
        if not waiting and not any(p.held for p in fleet) and not store.exists(KEYS.turn("lookup")):
            break
    assert {id: state(store, id) for id in harmless} == dict.fromkeys(harmless, "done")
    assert {id: state(store, id) for id in poison} == dict.fromkeys(poison, "dead poison")
    audit(dump(store))
