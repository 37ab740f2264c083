"""Every message that a process sends is counted: the journal against the servers' own counters."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.crashpoints.environment import Environment
from tests.crashpoints.paths import LOOKUP, ROUTING

OPERATIONS = {
    "query": "find",
    "update": "update",
}  # MongoDB's profiler has other names for two commands


def received(environment: Environment) -> Counter[str]:
    """What each server received, by its own counters: scripts and BLPOPs, commands of MongoDB by
    collection, calls of the Routing Service."""
    stats: Any = environment.store.info("commandstats")
    found = Counter(
        {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "blpop")}
    )
    for entry in environment.database["system.profile"].find({"appName": "fincart-gateway"}):
        command = OPERATIONS.get(entry["op"]) or next(iter(entry["command"]))
        found[f"mongo {command} {entry['ns'].split('.', 1)[1]}"] += 1
    found["calls"] = environment.routing_stats()["calls"]
    return found


def counted(names: tuple[str, ...]) -> Counter[str]:
    """The same, from the names in a journal."""

    def kind(name: str) -> str:
        server, what = name.split(" ", 1)
        if server == "redis":
            return "evalsha" if what.islower() else what.lower()
        return "calls" if server == "http" else name

    return Counter(map(kind, names))


def test_the_servers_received_exactly_what_the_journal_names(environment: Environment) -> None:
    environment.reset()
    environment.accept()
    environment.database.command("profile", 2)
    before = received(environment)
    runs = [environment.run(LOOKUP), environment.run(ROUTING)]
    environment.database.command("profile", 0)
    found = received(environment) - before
    del found["mongo find system.profile"]  # this test's own query
    environment.database.drop_collection("system.profile")
    named = sum((counted(run.messages + run.background) for run in runs), Counter[str]())
    assert found == named
    # Every client library was used.
    assert {"evalsha", "blpop", "calls", "mongo update shipments"} <= named.keys()
