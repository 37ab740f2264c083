"""The invariants of the store between any two verbs, checked over all keys."""

from __future__ import annotations

from collections import Counter
from typing import Any

from redis import Redis

from scheduler.connection import RedisConnection
from scheduler.constants import QUARANTINE
from scheduler.keys import LANES
from scheduler.queue import Queue
from tests.support.store_snapshot import Snapshot, dump

FINISHED = ("done", "dropped")


def audit(snapshot: Snapshot) -> None:
    """Every event is in the one structure that its state names, and every counter agrees."""
    places = _places(snapshot)
    _events_are_where_they_say(snapshot, places)
    _round_robin_has_the_sources_with_ready_events(snapshot)
    _counters_reconcile(snapshot, places)
    _tokens_are_bounded(snapshot)
    timed = {key.split(":", 1)[0] for key in snapshot if key.endswith("(ttl)")}
    assert timed <= {"gw", "alone"}


def _places(snapshot: Snapshot) -> Counter[tuple[str, str]]:
    """How often (place, id) occurs."""
    places: Counter[tuple[str, str]] = Counter()
    for key, content in snapshot.items():
        family = key.split(":", 1)[0]
        if family in ("ready", "locks", "retry", "dead", "done"):
            places.update((key, id) for id in content)
    return places


def _events_are_where_they_say(snapshot: Snapshot, places: Counter[tuple[str, str]]) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for key, event in snapshot.items():
        if not key.startswith("event:"):
            continue
        id = key.removeprefix("event:")
        state = event["state"]
        expected[(_place(event), id)] += 1
        assert (f"body:{id}" in snapshot) == (state not in FINISHED), (id, event)
        if state == "retry":
            assert int(event["next_at"]) == snapshot["retry"][id]
        if state in FINISHED:
            assert event.keys() <= {"state", "digest", "reason"}
    assert places == expected
    bodies = {key.removeprefix("body:") for key in snapshot if key.startswith("body:")}
    assert all(f"event:{id}" in snapshot for id in bodies)


def _place(event: dict[str, str]) -> str:
    state = event["state"]
    if state == "ready":
        source = QUARANTINE if int(event["crashes"]) >= 2 else event["source"]
        return f"ready:{event['lane']}:{source}"
    if state == "locked":
        return f"locks:{event['lane']}"
    return "done" if state in FINISHED else state


def _round_robin_has_the_sources_with_ready_events(snapshot: Snapshot) -> None:
    for lane in LANES:
        lists = [key for key in snapshot if key.startswith(f"ready:{lane}:")]
        waiting = sorted(key.removeprefix(f"ready:{lane}:") for key in lists)
        assert sorted(snapshot.get(f"turn:{lane}", [])) == waiting


def _counters_reconcile(snapshot: Snapshot, places: Counter[tuple[str, str]]) -> None:
    stats: dict[str, str] = snapshot.get("stats", {})
    backlog = [id for place, id in places if place.split(":")[0] in ("ready", "locks", "retry")]
    dead = [id for place, id in places if place == "dead"]
    assert int(stats.get("accepted", 0)) == (
        int(stats.get("done", 0)) + len(backlog) + len(dead) + int(stats.get("dropped", 0))
    )
    assert int(stats.get("backlog", 0)) == len(backlog)
    assert int(stats.get("backlog_bytes", 0)) == sum(len(snapshot[f"body:{id}"]) for id in backlog)
    assert len(dead) == (
        int(stats.get("buried", 0)) - int(stats.get("replayed", 0)) - int(stats.get("dropped", 0))
    )
    assert len(snapshot.get("done", {})) == (
        int(stats.get("done", 0)) + int(stats.get("dropped", 0)) - int(stats.get("trimmed", 0))
    )
    negative = {key: value for key, value in stats.items() if float(value) < 0}
    assert not negative


def _tokens_are_bounded(snapshot: Snapshot) -> None:
    for lane in LANES:
        assert len(snapshot.get(f"wake:{lane}", [])) <= 8
    assert len(snapshot.get("wake:scheduler", [])) <= 1


class AuditedQueue(Queue):
    """The queue, with an audit of the whole store after each verb."""

    def __init__(self, connection: RedisConnection, store: Redis) -> None:
        super().__init__(connection)
        self._store = store

    def _run(self, verb: str, keys: list[str], *args: Any) -> Any:
        try:
            return super()._run(verb, keys, *args)
        finally:
            audit(dump(self._store))
