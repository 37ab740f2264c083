"""Nothing that a process sends goes uncounted: the servers' own books against the journal."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.crashpoints.environment import World
from tests.crashpoints.paths import LOOKUP, ROUTING

OPERATIONS = {"query": "find", "update": "update"}  # as MongoDB's profiler calls two commands


def received(world: World) -> Counter[str]:
    """What came to each server, as it says itself: scripts and sleeps, commands of MongoDB by
    collection, calls."""
    stats: Any = world.store.info("commandstats")
    found = Counter(
        {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "blpop")}
    )
    for entry in world.database["system.profile"].find({"appName": "fincart-gateway"}):
        command = OPERATIONS.get(entry["op"]) or next(iter(entry["command"]))
        found[f"mongo {command} {entry['ns'].split('.', 1)[1]}"] += 1
    found["calls"] = world.routing_stats()["calls"]
    return found


def counted(names: tuple[str, ...]) -> Counter[str]:
    """The same, of what was written into a journal."""

    def kind(name: str) -> str:
        server, what = name.split(" ", 1)
        if server == "redis":
            return "evalsha" if what.islower() else what.lower()
        return "calls" if server == "http" else name

    return Counter(map(kind, names))


def test_the_servers_got_nothing_that_the_journal_does_not_name(world: World) -> None:
    world.begin()
    world.accept()
    world.database.command("profile", 2)
    before = received(world)
    lives = [world.lead(LOOKUP), world.lead(ROUTING)]
    world.database.command("profile", 0)
    found = received(world) - before
    del found["mongo find system.profile"]  # this test's own look
    world.database.drop_collection("system.profile")
    named = sum((counted(life.steps + life.background) for life in lives), Counter[str]())
    assert found == named
    # Every kind of client was seen at work.
    assert {"evalsha", "blpop", "calls", "mongo update shipments"} <= named.keys()
