"""Everything that is left when all is done, as a value that is the same in every run.

What may differ between a run in which a process was killed and one without is named here, each with
its reason, and nowhere else. All the rest is compared to the last field.
"""

from __future__ import annotations

from typing import Any

from tests.crashpoints.environment import World
from tests.support.store_snapshot import MARKS, dump

Document = dict[str, Any]

# Fields whose value differs by nature; that they are there is compared.
OF_AN_EVENT = {
    "received_at": "a time",
    "live_since": "a time",
    "next_at": "a time",
    "gen": "a fence: each reservation draws a higher one",
    "owner": "whoever held it last: on a lost host another one",
    "boot": "a process",
    "crashes": "the deaths that the event was part of, each of them one",
}
OF_THE_LEDGER = {
    "received_at": "a time",
    "applied_at": "a time",
    "done_at": "a time",
    "dead_at": "a time",
    "fence": "a fence: the last holder's",
}
# Sets ordered by time: their members are compared.
BY_TIME = ("retry", "dead", "done")
# Keys that say nothing of any event.
NOT_OF_EVENTS = {
    "wake:lookup": "tokens, a convenience",
    "wake:routing": "tokens",
    "wake:scheduler": "tokens",
    "breaker": "how calls of the last 10 s went: a repeated one counts again",
}
COUNTS = {
    "reserved": "the reservation of a holder that died comes on top",
    "crashed": "its death, too",
    "done_ms": "a time",
    **dict.fromkeys(MARKS, "a time, or a rate in time"),
}
# Counted by the outcome that the queue was told: a holder that finds the ledger closed by one that
# died before it could say so says `already_done`. Their sum is `done`, which is compared, and the
# outcome itself is in the ledger.
OUTCOMES = "done:"
SEEN = "seen:"  # when a secret was last seen in use


def end_state(world: World) -> Document:
    """Redis, the ledger, shipments and orders, without what may differ."""
    found: Document = {}
    for key, content in dump(world.store).items():
        if key in NOT_OF_EVENTS or key.startswith("gw:proc:"):  # live processes, with a TTL
            continue
        if key in BY_TIME:
            content = sorted(content)
        elif key == "stats":
            content = {
                name: count
                for name, count in content.items()
                if count != "0" and name not in COUNTS and not name.startswith((OUTCOMES, SEEN))
            }
        elif key.startswith("event:"):
            content = _veiled(content, OF_AN_EVENT)
        found[key] = content
    for name in ("shipments", "orders"):
        found[f"mongo {name}"] = _by_id(world, name)
    ledger = _by_id(world, "events")
    found["mongo events"] = {id: _veiled(entry, OF_THE_LEDGER) for id, entry in ledger.items()}
    return found


def _by_id(world: World, name: str) -> Document:
    return {document.pop("_id"): document for document in world.database[name].find()}


def _veiled(content: Document, reasons: dict[str, str]) -> Document:
    return {name: reasons.get(name, value) for name, value in content.items()}


def differences(expected: Document, found: Document) -> list[str]:
    """Each a line; none if the two are the same."""
    return [
        f"{key}: {found.get(key)!r}, not {expected.get(key)!r}"
        for key in sorted(expected.keys() | found.keys())
        if expected.get(key) != found.get(key)
    ]
