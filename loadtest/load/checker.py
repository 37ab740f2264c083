"""Had each accepted event one effect? Judged from what clients were told, not from our own books.

Four accounts that nobody but this file brings together: the answers that clients were given, the
ledger, the counters on the shipments, and the calls that the Routing Service says it answered.
Pure; ``loadtest.load.versions`` reads the accounts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from loadtest.harness.history import ACCEPTED, DUPLICATE, Answer

SHOWN = 10  # problems of a kind that are spelled out


@dataclass(frozen=True)
class Entry:
    """A ledger document. routed: it was decided to ask for a route. failed_calls: before the one
    that was answered. seconds: from its acceptance until it was done, None while it is not."""

    state: str
    routed: bool
    failed_calls: int
    outcome: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Accounts:
    """answers: all of the run. ledger: key -> entry. applied: shipment -> its events_applied.
    calls: idempotency key -> successful calls, as the Routing Service counted them."""

    answers: list[Answer]
    ledger: Mapping[str, Entry]
    applied: Mapping[str, int]
    calls: Mapping[str, int]


@dataclass
class Verdict:
    """problems: kind -> what it was found on. recovered: events whose first routing call failed
    and which completed. attempts: routing calls of an event -> such events."""

    accepted: int
    duplicates: int
    routed: int
    recovered: int
    attempts: dict[int, int]
    problems: dict[str, list[str]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        return not self.problems

    def lines(self) -> list[str]:
        """For a person."""
        if self.clean:
            return [f"{self.accepted} events were accepted, and each had one effect"]
        found = []
        for kind, items in self.problems.items():
            found += [f"{kind}: {len(items)}", *(f"  {item}" for item in items[:SHOWN])]
            found += [f"  … and {len(items) - SHOWN} more"] if len(items) > SHOWN else []
        return found


def check(accounts: Accounts) -> Verdict:
    told = Counter(a.key for a in accounts.answers if a.status == ACCEPTED)
    done = [e for key, e in accounts.ledger.items() if key in told and e.state == "done"]
    attempts = Counter(e.failed_calls + 1 for e in done if e.routed)
    verdict = Verdict(
        accepted=len(told),
        duplicates=sum(a.status == DUPLICATE for a in accounts.answers),
        routed=attempts.total(),
        recovered=sum(events for calls, events in attempts.items() if calls > 1),
        attempts=dict(sorted(attempts.items())),
    )
    found = {
        "answered neither 202 nor 200": (
            f"{a.key}: {a.status}"
            for a in accounts.answers
            if a.status not in (ACCEPTED, DUPLICATE)
        ),
        "accepted more than once": (f"{key}: {n} times" for key, n in told.items() if n > 1),
        "called a duplicate of an event that was never accepted": sorted(
            {a.key for a in accounts.answers if a.status == DUPLICATE} - told.keys()
        ),
        "accepted and lost: not in the ledger": (key for key in told if key not in accounts.ledger),
        "accepted and not done": (
            f"{key}: {accounts.ledger[key].state}"
            for key in told
            if key in accounts.ledger and accounts.ledger[key].state != "done"
        ),
        "in the ledger, and nobody was told so": (
            key for key in accounts.ledger if key not in told
        ),
        "shipments that count other events than were accepted": _shipments(accounts),
        "routed other than once": _calls(accounts),
    }
    for kind, items in found.items():
        if listed := list(items):
            verdict.problems[kind] = listed
    return verdict


def _shipments(accounts: Accounts) -> Iterable[str]:
    shipments = {a.key: a.shipment for a in accounts.answers if a.status == ACCEPTED}
    accepted = Counter(shipments.values())
    for shipment in sorted(accepted.keys() | accounts.applied.keys()):
        counted = accounts.applied.get(shipment, 0)
        if counted != accepted[shipment]:
            yield f"{shipment}: {accepted[shipment]} accepted, {counted} applied"


def _calls(accounts: Accounts) -> Iterable[str]:
    for key in accounts.ledger.keys() | accounts.calls.keys():
        entry = accounts.ledger.get(key)
        wanted = int(entry is not None and entry.routed)
        answered = accounts.calls.get(key, 0)
        if answered != wanted:
            yield f"{key}: {answered} routes were given, {wanted} wanted"
