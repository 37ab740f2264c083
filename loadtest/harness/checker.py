"""Was every event that a client was promised kept, and had it one effect?

Five accounts that nobody but this file brings together: what clients were told, Redis, the ledger,
the shipments, and the Routing Service's calls. Pure, and it shares no code with the product: what
it expects is spelled out here a second time.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from loadtest.harness.accounts import Accounts, Answer, Document, Event
from loadtest.harness.repeats import Repeat, repeats

# What a problem means for whoever sent the event.
SEVERITIES = LOST, DOUBLED, WRONG = "lost", "doubled", "wrong"

_RANKS = (
    "label_created",
    "picked_up",
    "in_transit",
    "out_for_delivery",
    "delivery_failed",
    "exception",
    "address_changed",
    "delayed",
)
_ROUTED = ("routed", "route_superseded")
_OPEN = ("ready", "locked", "retry")
_EVENT = re.compile(r"\bevent (\S+): ")  # as the product's logs name one
_REFUSALS = (503, 429)  # the only answers but 2xx that a valid event may get
# Share of the calls whose caller was gone before anybody saw who it was. Each of them is excused by
# whatever kill was near, so with many of them no repeat could ever be held against the product.
UNSEEN_MAX = 0.05


@dataclass(frozen=True, slots=True)
class Problem:
    """severity: LOST, DOUBLED or WRONG. key: the event it was found on, or empty; shipment: the
    same."""

    severity: str
    text: str
    key: str = ""
    shipment: str = ""


@dataclass
class Verdict:
    problems: list[Problem]
    repeats: list[Repeat]
    dead: Mapping[str, list[str]] = field(default_factory=dict)  # reason -> ids

    def of(self, severity: str) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == severity]


def check(accounts: Accounts, *, replayed: bool = True) -> Verdict:
    """replayed: the dead letters had another try with everything in order, so that only events
    that no try can help may still be dead."""
    repeated = repeats(accounts.calls, accounts.faults, accounts.stalls)
    problems = [
        *_answers(accounts),
        *_kept(accounts),
        *_places(accounts),
        *_books(accounts),
        *_ledger(accounts, replayed),
        *_shipments(accounts),
        *_calls(accounts, repeated),
        *_callers(accounts),
        *_traces(accounts),
    ]
    dead: dict[str, list[str]] = defaultdict(list)
    for id, fields in accounts.queue.hashes.items():
        if fields.get("state") == "dead":
            dead[fields.get("reason", "")].append(id)
    return Verdict(problems, repeated, dict(dead))


def promised(accounts: Accounts) -> set[str]:
    """The events of which some client was told 2xx."""
    return {answer.key for answer in accounts.answers if answer.told}


def _answers(accounts: Accounts) -> Iterator[Problem]:
    by_key: dict[str, list[Answer]] = defaultdict(list)
    for answer in accounts.answers:
        by_key[answer.key].append(answer)
        wanted = {202: "accepted", 200: "duplicate"}.get(answer.status or 0)
        if wanted is not None and answer.word != wanted:
            yield Problem(WRONG, f"answered {answer.status} and said {answer.word}", answer.key)
        if answer.status is not None and wanted is None and answer.status not in _REFUSALS:
            yield Problem(
                WRONG, f"a valid event was answered {answer.status} ({answer.word})", answer.key
            )
    for key, answers in by_key.items():
        accepted = sum(answer.status == 202 for answer in answers)
        if accepted > 1:
            yield Problem(DOUBLED, f"accepted as new {accepted} times", key)
        for answer in answers:
            if answer.status == 200 and not any(
                other.sent < answer.answered and other.status != 200 for other in answers
            ):
                yield Problem(LOST, "called a duplicate although it was never stored", key)


def _kept(accounts: Accounts) -> Iterator[Problem]:
    queue = accounts.queue
    for key in sorted(promised(accounts)):
        fields = queue.hashes.get(key)
        if fields is None:
            yield Problem(LOST, "a client was told 2xx, and Redis does not know it", key)
        elif not queue.places.get(key):
            yield Problem(LOST, f"Redis calls it {fields.get('state')} and has it in no place", key)
    for key in accounts.events.keys() - promised(accounts):
        yield Problem(WRONG, "no client ever got a 2xx for it", key)


def _places(accounts: Accounts) -> Iterator[Problem]:
    queue = accounts.queue
    for key in queue.hashes.keys() | queue.places.keys() | queue.bodies.keys():
        event = accounts.events.get(key)
        if event is None:
            yield Problem(WRONG, "nobody sent it", key)
            continue
        places, fields = queue.places.get(key, ()), queue.hashes.get(key, {})
        state = fields.get("state", "")
        if len(places) > 1:
            yield Problem(DOUBLED, f"in {len(places)} places: {', '.join(places)}", key)
        if any(_state_of(place) != state for place in places):
            yield Problem(WRONG, f"Redis calls it {state or 'nothing'}: it is in {places[0]}", key)
        if state in _OPEN:
            yield Problem(WRONG, f"did not come to an end: {state}", key)
        body = queue.bodies.get(key)
        if state == "done" and body is not None:
            yield Problem(WRONG, "done, and its body is still there", key)
        if state and state != "done" and body != event.body:
            yield Problem(
                LOST, "the signed bytes are " + ("gone" if body is None else "others"), key
            )
        if state and fields.get("digest") != _digest(event.body):
            yield Problem(WRONG, "the digest is not that of its body", key)


def _state_of(place: str) -> str:
    return {"locks": "locked"}.get(name := place.partition(":")[0], name)


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=8).hexdigest()


def _books(accounts: Accounts) -> Iterator[Problem]:
    queue = accounts.queue
    stats = {
        name: int(float(value))
        for name, value in queue.stats.items()
        if name.replace("_", "").isalpha()
    }
    states = Counter(fields.get("state", "") for fields in queue.hashes.values())
    waiting = [key for key, fields in queue.hashes.items() if fields.get("state") in _OPEN]
    said = sum(answer.status == 202 for answer in accounts.answers)
    counted = {
        "accepted": len(queue.hashes),
        "done": states["done"],
        "backlog": len(waiting),
        "backlog_bytes": sum(len(queue.bodies.get(key, b"")) for key in waiting),
    }
    for name, number in counted.items():
        if stats.get(name, 0) != number:
            yield Problem(WRONG, f"the books say {name} {stats.get(name, 0)}: it is {number}")
    if said > stats.get("accepted", 0):
        yield Problem(LOST, f"{said} were told 202, the books say {stats.get('accepted', 0)}")


def _ledger(accounts: Accounts, replayed: bool) -> Iterator[Problem]:
    for key in accounts.ledger.keys() - accounts.queue.hashes.keys():
        yield Problem(WRONG, "in the ledger, and not in Redis", key)
    for key, event in accounts.events.items():
        state = accounts.queue.hashes.get(key, {}).get("state")
        entry = accounts.ledger.get(key, {})
        if state == "done":
            if entry.get("state") != "done" or "done_at" not in entry:
                yield Problem(LOST, f"done, and the ledger says {entry.get('state')}", key)
            elif "applied_at" not in entry:
                yield Problem(LOST, "done, and never applied to its shipment", key)
            if not event.readable:
                yield Problem(WRONG, "done, although nobody can read it", key)
        elif state == "dead":
            if entry.get("state") == "done":
                yield Problem(WRONG, "dead, and the ledger says done", key)
            if replayed and event.readable:
                yield Problem(LOST, "dead still after its replay", key)
        if entry and (entry.get("shipment_id"), entry.get("status")) != (
            event.shipment,
            event.status,
        ):
            yield Problem(WRONG, "the ledger has another shipment or status", key)


def _shipments(accounts: Accounts) -> Iterator[Problem]:
    applied: dict[str, set[str]] = defaultdict(set)
    for key, entry in accounts.ledger.items():
        if "applied_at" in entry:
            applied[str(entry.get("shipment_id"))].add(key)
    for id, shipment in accounts.shipments.items():
        recent = list(shipment.get("recent_events") or [])
        for key in {key for key in recent if recent.count(key) > 1}:
            yield Problem(DOUBLED, f"applied to {id} twice", key, id)
        # Between the effect and the note in the ledger an event is known by recent_events alone.
        noted = applied.pop(id, set())
        keys = noted | set(recent)
        counted = shipment.get("events_applied") or 0
        if counted != len(keys):
            # Whose story? If one was overwritten, that of one which is noted and not to be seen.
            yield Problem(
                DOUBLED if counted > len(keys) else LOST,
                f"{id} counts {counted} events: {len(keys)} were applied",
                max(noted - set(recent), default=max(keys, default="")),
                id,
            )
        events = [accounts.events[key] for key in keys if key in accounts.events]
        yield from _status(shipment, events)
        yield from _route(shipment, events, accounts.ledger)
    for id, keys in applied.items():
        yield Problem(LOST, f"there is no shipment {id}", min(keys), id)


def _status(shipment: Document, events: Iterable[Event]) -> Iterator[Problem]:
    latest = max(events, default=None, key=lambda e: (e.occurred_at, _RANKS.index(e.status)))
    if latest is not None and (shipment.get("status"), shipment.get("last_event_at")) != (
        latest.status,
        latest.occurred_at,
    ):
        yield Problem(
            LOST,
            f"{shipment['_id']} is {shipment.get('status')} since "
            f"{shipment.get('last_event_at')}: its latest event says {latest.status}",
            latest.key,
            shipment["_id"],
        )


def _route(
    shipment: Document, events: Iterable[Event], ledger: Mapping[str, Document]
) -> Iterator[Problem]:
    at = {e.key: e.occurred_at for e in events}
    routed = [key for key in at if ledger.get(key, {}).get("outcome") in _ROUTED]
    route = shipment.get("route") or {}
    key = route.get("event_id")
    latest: datetime | None = max((at[key] for key in routed), default=None)
    if latest is not None and (key not in at or at[key] < latest):
        yield Problem(
            LOST,
            f"{shipment['_id']} has the route of {key}, which is not its latest",
            max(routed, key=at.__getitem__),
            shipment["_id"],
        )
    if key is not None and (route.get("answer") or {}).get("idempotency_key") != key:
        yield Problem(WRONG, f"{shipment['_id']} has another event's answer", key, shipment["_id"])


def _callers(accounts: Accounts) -> Iterator[Problem]:
    unseen = sum(call.pid == 0 for call in accounts.calls)
    if unseen > UNSEEN_MAX * len(accounts.calls):
        yield Problem(
            WRONG,
            f"nobody saw who made {unseen} of {len(accounts.calls)} calls: "
            "repeats cannot be judged",
        )


def _traces(accounts: Accounts) -> Iterator[Problem]:
    for trace in accounts.traces:
        named = _EVENT.search(trace.entry)
        yield Problem(
            WRONG,
            f"a traceback in {trace.log}: {trace.error}, beneath: {trace.entry}",
            named[1] if named else "",
        )


def _calls(accounts: Accounts, repeated: Iterable[Repeat]) -> Iterator[Problem]:
    seen = Counter(call.key for call in accounts.calls if call.outcome == "routed")
    for key in seen.keys() | accounts.routed.keys():
        if seen[key] != accounts.routed.get(key, 0):
            yield Problem(
                WRONG,
                f"{seen[key]} calls were answered, the Routing Service counts "
                f"{accounts.routed.get(key, 0)}",
                key,
            )
    for key, entry in accounts.ledger.items():
        wanted = bool((entry.get("decision") or {}).get("route"))
        if entry.get("state") == "done" and wanted:
            if entry.get("outcome") not in _ROUTED or not seen[key]:
                yield Problem(LOST, "a route was needed, and none was asked for", key)
            elif (entry.get("route") or {}).get("idempotency_key") != key:
                yield Problem(WRONG, "the ledger has another event's route", key)
        if not wanted and seen[key]:
            yield Problem(DOUBLED, "routed, although no route was needed", key)
    for key in seen.keys() - accounts.ledger.keys():
        yield Problem(WRONG, "routed, and not in the ledger", key)
    for repeat in repeated:
        if not repeat.excuse:
            later = repeat.again.arrived - repeat.first.ended
            when = f"{later:.2f} s after its answer" if later >= 0 else "during another such call"
            yield Problem(
                DOUBLED,
                f"asked the Routing Service again {when}, and no fault excuses it",
                repeat.key,
            )
