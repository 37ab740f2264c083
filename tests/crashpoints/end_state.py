"""The contents of both stores at the end of a path, as a value that is the same in every run.

What may differ between a run with a crash and one without is listed here, each with its reason, and
nowhere else. Everything else is compared to the last field.
"""

from __future__ import annotations

from typing import Any

from tests.crashpoints.environment import Environment
from tests.support.store_snapshot import MARKS, dump

Document = dict[str, Any]

# Fields whose value may differ; their presence is compared.
EVENT_FIELDS = {
    "received_at": "a time",
    "live_since": "a time",
    "next_at": "a time",
    "gen": "a fence: each reservation raises it",
    "owner": "the last holder: another host's after a lost host",
    "boot": "of a process",
    "crashes": "one more for each crash of a holder",
}
LEDGER_FIELDS = {
    "received_at": "a time",
    "applied_at": "a time",
    "done_at": "a time",
    "dead_at": "a time",
    "fence": "a fence: of the last holder",
}
# Sets ordered by time: only their members are compared.
ORDERED_BY_TIME = ("retry", "dead", "done")
# Keys that hold nothing about events.
IGNORED_KEYS = {
    "wake:lookup": "wake-up tokens",
    "wake:routing": "wake-up tokens",
    "wake:scheduler": "wake-up tokens",
    "breaker": "the calls of the last 10 s: a repeated call counts again",
}
IGNORED_COUNTERS = {
    "reserved": "one more for the holder that was killed",
    "crashed": "the same",
    "done_ms": "a time",
    **dict.fromkeys(MARKS, "a time, or a rate in time"),
}
# Counters by outcome: a holder that finds the ledger closed by a killed one reports `already_done`.
# Their sum is `done`, which is compared, and the outcome itself is in the ledger.
OUTCOMES = "done:"
SEEN = "seen:"  # the time at which a secret was last used


def end_state(environment: Environment) -> Document:
    """Redis, ledger, shipments and orders; what may differ is replaced by the reason."""
    found: Document = {}
    for key, content in dump(environment.store).items():
        if key in IGNORED_KEYS or key.startswith("gw:proc:"):  # live processes
            continue
        if key in ORDERED_BY_TIME:
            content = sorted(content)
        elif key == "stats":
            content = {
                name: count
                for name, count in content.items()
                if count != "0"
                and name not in IGNORED_COUNTERS
                and not name.startswith((OUTCOMES, SEEN))
            }
        elif key.startswith("event:"):
            content = _replaced(content, EVENT_FIELDS)
        found[key] = content
    for name in ("shipments", "orders"):
        found[f"mongo {name}"] = _by_id(environment, name)
    ledger = _by_id(environment, "events")
    found["mongo events"] = {id: _replaced(entry, LEDGER_FIELDS) for id, entry in ledger.items()}
    return found


def _by_id(environment: Environment, name: str) -> Document:
    return {document.pop("_id"): document for document in environment.database[name].find()}


def _replaced(content: Document, reasons: dict[str, str]) -> Document:
    return {name: reasons.get(name, value) for name, value in content.items()}


def differences(expected: Document, found: Document) -> list[str]:
    """One line for each; none if the two are equal."""
    return [
        f"{key}: {found.get(key)!r}, not {expected.get(key)!r}"
        for key in sorted(expected.keys() | found.keys())
        if expected.get(key) != found.get(key)
    ]
