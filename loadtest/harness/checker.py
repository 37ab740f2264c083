"""Was every acknowledged event kept, and had it one effect?

Five accounts that no part of the product sees side by side: the history of what clients were
answered, Redis, the ledger, the shipments, and the calls that the Routing Service counted. Pure. It
shares no code with the product: what it expects is spelled out here a second time. What a run has
no account of (see ``Accounts`` and ``Event``) is not checked.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from loadtest.harness.accounts import Accounts, Call, Document, Queue, Traceback
from loadtest.harness.history import ACCEPTED, DUPLICATE, NO_ANSWER, Answer, Event
from loadtest.harness.repeats import Repeat, repeats

# What a problem means for the client.
SEVERITIES = LOST, DOUBLED, WRONG = "lost", "doubled", "wrong"
SHOWN = 10  # problems that ``Verdict.lines`` spells out

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
# Answers after which a client sends its event again.
RETRIABLE = (NO_ANSWER, 429, 503)


@dataclass(frozen=True, slots=True)
class Problem:
    """severity: LOST, DOUBLED or WRONG. key, shipment: what it was found on, or empty."""

    severity: str
    text: str
    key: str = ""
    shipment: str = ""

    def __str__(self) -> str:
        subject = self.key or self.shipment or "the counters"
        return f"{self.severity.upper()}: {subject}: {self.text}"


@dataclass
class Verdict:
    """dead: reason -> ids."""

    problems: list[Problem]
    repeats: list[Repeat] = field(default_factory=list)
    dead: Mapping[str, list[str]] = field(default_factory=dict)

    def of(self, severity: str) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == severity]

    def lines(self) -> list[str]:
        """The problems for people, most severe first."""
        ordered = sorted(self.problems, key=lambda p: SEVERITIES.index(p.severity))
        more = len(ordered) - SHOWN
        return [*map(str, ordered[:SHOWN]), *([f"… and {more} more problems"] if more > 0 else [])]


def check(
    accounts: Accounts, *, replayed: bool = True, retriable: Collection[int] = RETRIABLE
) -> Verdict:
    """replayed: the dead letters were replayed with every store and service in order, so that only
    unreadable events may still be dead. retriable: the answers other than 2xx that a valid event
    may get."""
    calls, queue = accounts.calls, accounts.queue
    repeated = repeats(calls or (), accounts.faults, accounts.stalls)
    problems = [
        *_answers(accounts, retriable),
        *_acknowledged(accounts),
        *(_places(accounts, queue) if queue else ()),
        *(_counters(accounts, queue) if queue else ()),
        *_ledger(accounts, replayed),
        *_shipments(accounts),
        *_routes(accounts),
        *(_calls(accounts, calls) if calls is not None else _repeated(accounts.routed)),
        *_unexcused(repeated),
        *_tracebacks(accounts.tracebacks),
    ]
    dead: dict[str, list[str]] = defaultdict(list)
    for id, fields in (queue.hashes if queue else {}).items():
        if fields.get("state") == "dead":
            dead[fields.get("reason", "")].append(id)
    return Verdict(problems, repeated, dict(dead))


def _answers(accounts: Accounts, retriable: Collection[int]) -> Iterator[Problem]:
    by_key: dict[str, list[Answer]] = defaultdict(list)
    for answer in accounts.answers:
        by_key[answer.key].append(answer)
        wanted = {ACCEPTED: "accepted", DUPLICATE: "duplicate"}.get(answer.status)
        if wanted is not None and answer.word != wanted:
            yield Problem(WRONG, f"answered {answer.status} and said {answer.word}", answer.key)
        if wanted is None and answer.status not in retriable:
            status = answer.status or "nothing"
            yield Problem(WRONG, f"a valid event was answered {status} ({answer.word})", answer.key)
    for key, answers in by_key.items():
        accepted = sum(answer.status == ACCEPTED for answer in answers)
        if accepted > 1:
            yield Problem(DOUBLED, f"accepted as new {accepted} times", key)
        for answer in answers:
            if answer.status == DUPLICATE and not any(
                other.sent_at < answer.answered_at and other.status != DUPLICATE
                for other in answers
            ):
                yield Problem(LOST, "called a duplicate although it was never stored", key)


def _acknowledged(accounts: Accounts) -> Iterator[Problem]:
    acknowledged = accounts.acknowledged
    for key in accounts.events.keys() - acknowledged:
        yield Problem(WRONG, "no client ever got a 2xx for it", key)
    if accounts.queue is None:
        return
    for key in sorted(acknowledged):
        fields = accounts.queue.hashes.get(key)
        if fields is None:
            yield Problem(LOST, "acknowledged, and Redis does not know it", key)
        elif not accounts.queue.places.get(key):
            yield Problem(LOST, f"Redis calls it {fields.get('state')} and has it in no place", key)


def _places(accounts: Accounts, queue: Queue) -> Iterator[Problem]:
    for key in queue.hashes.keys() | queue.places.keys() | queue.bodies.keys():
        event = accounts.events.get(key)
        if event is None:
            yield Problem(WRONG, "in Redis, and no client sent it", key)
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
        if state and event.body is not None:
            if state != "done" and body != event.body:
                yield Problem(
                    LOST, "the signed bytes are " + ("gone" if body is None else "others"), key
                )
            if fields.get("digest") != _digest(event.body):
                yield Problem(WRONG, "the digest is not that of its body", key)


def _state_of(place: str) -> str:
    return {"locks": "locked"}.get(name := place.partition(":")[0], name)


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=8).hexdigest()


def _counters(accounts: Accounts, queue: Queue) -> Iterator[Problem]:
    stats = {
        name: int(float(value))
        for name, value in queue.stats.items()
        if name.replace("_", "").isalpha()
    }
    states = Counter(fields.get("state", "") for fields in queue.hashes.values())
    waiting = [key for key, fields in queue.hashes.items() if fields.get("state") in _OPEN]
    answered = sum(answer.status == ACCEPTED for answer in accounts.answers)
    counted = {
        "accepted": len(queue.hashes),
        "done": states["done"],
        "backlog": len(waiting),
        "backlog_bytes": sum(len(queue.bodies.get(key, b"")) for key in waiting),
    }
    for name, number in counted.items():
        if stats.get(name, 0) != number:
            yield Problem(WRONG, f"{name} is {stats.get(name, 0)}: it should be {number}")
    if answered > stats.get("accepted", 0):
        yield Problem(LOST, f"{answered} answers were 202, accepted is {stats.get('accepted', 0)}")


def _ledger(accounts: Accounts, replayed: bool) -> Iterator[Problem]:
    queue = accounts.queue
    for key in accounts.ledger.keys() - accounts.events.keys():
        yield Problem(WRONG, "in the ledger, and no client sent it", key)
    if queue is not None:
        for key in accounts.ledger.keys() - queue.hashes.keys():
            yield Problem(WRONG, "in the ledger, and not in Redis", key)
    for key, event in accounts.events.items():
        # An event whose tombstone has expired was done.
        state = "done" if queue is None else queue.hashes.get(key, {}).get("state")
        entry = accounts.ledger.get(key, {})
        if state == "done":
            if entry.get("state") != "done" or "done_at" not in entry:
                yield Problem(LOST, f"done, and the ledger says {entry.get('state')}", key)
            elif "applied_at" not in entry:
                yield Problem(LOST, "done, and never applied to its shipment", key)
            if not event.readable:
                yield Problem(WRONG, "done, although its status is unreadable", key)
        elif state == "dead":
            if entry.get("state") == "done":
                yield Problem(WRONG, "dead, and the ledger says done", key)
            if replayed and event.readable:
                yield Problem(LOST, "dead still after its replay", key)
        if entry and (
            entry.get("shipment_id") != event.shipment
            or (event.status and entry.get("status") != event.status)
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
        # Between the effect and the note in the ledger only recent_events holds the event.
        noted = applied.pop(id, set())
        keys = noted | set(recent)
        counted = shipment.get("events_applied") or 0
        if counted != len(keys):
            # Named for an event that is noted and no longer recent: it may be the overwritten one.
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


def _status(shipment: Document, events: Sequence[Event]) -> Iterator[Problem]:
    times = [(e.occurred_at, _RANKS.index(e.status), e) for e in events if e.occurred_at]
    if not times:
        return
    at, _, latest = max(times, key=lambda item: item[:2])
    if (shipment.get("status"), shipment.get("last_event_at")) != (latest.status, at):
        yield Problem(
            LOST,
            f"{shipment['_id']} is {shipment.get('status')} since "
            f"{shipment.get('last_event_at')}: its latest event says {latest.status}",
            latest.key,
            shipment["_id"],
        )


def _route(
    shipment: Document, events: Sequence[Event], ledger: Mapping[str, Document]
) -> Iterator[Problem]:
    at = {e.key: e.occurred_at for e in events if e.occurred_at}
    routed = [key for key in at if ledger.get(key, {}).get("outcome") in _ROUTED]
    route = shipment.get("route") or {}
    key = route.get("event_id")
    latest = max((at[key] for key in routed), default=None)
    if latest is not None and (key not in at or at[key] < latest):
        yield Problem(
            LOST,
            f"{shipment['_id']} has the route of {key}, which is not its latest",
            max(routed, key=at.__getitem__),
            shipment["_id"],
        )
    if key is not None and (route.get("answer") or {}).get("idempotency_key") != key:
        yield Problem(WRONG, f"{shipment['_id']} has another event's answer", key, shipment["_id"])


def _routes(accounts: Accounts) -> Iterator[Problem]:
    """The ledger against the routes that were given, whichever calls gave them."""
    given = accounts.routed
    if accounts.calls is not None:
        given = Counter(call.key for call in accounts.calls if call.outcome == "routed")
    for key, entry in accounts.ledger.items():
        wanted = bool((entry.get("decision") or {}).get("route"))
        if entry.get("state") == "done" and wanted:
            if entry.get("outcome") not in _ROUTED or not given.get(key):
                yield Problem(LOST, "a route was needed, and none was asked for", key)
            elif (entry.get("route") or {}).get("idempotency_key") != key:
                yield Problem(WRONG, "the ledger has another event's route", key)
        if not wanted and given.get(key):
            yield Problem(DOUBLED, "routed, although no route was needed", key)
    for key in given.keys() - accounts.ledger.keys():
        yield Problem(WRONG, "routed, and not in the ledger", key)


def _repeated(routed: Mapping[str, int]) -> Iterator[Problem]:
    for key, count in routed.items():
        if count > 1:
            yield Problem(DOUBLED, f"{count} calls were answered with a route", key)


def _calls(accounts: Accounts, calls: Sequence[Call]) -> Iterator[Problem]:
    answered = Counter(call.key for call in calls if call.outcome == "routed")
    for key in answered.keys() | accounts.routed.keys():
        if answered[key] != accounts.routed.get(key, 0):
            yield Problem(
                WRONG,
                f"{answered[key]} calls were answered, the Routing Service counts "
                f"{accounts.routed.get(key, 0)}",
                key,
            )
    anonymous = sum(call.pid == 0 for call in calls)
    if anonymous:
        yield Problem(
            WRONG,
            f"{anonymous} of {len(calls)} calls did not name their process: "
            "repeats cannot be judged",
        )


def _unexcused(repeated: Sequence[Repeat]) -> Iterator[Problem]:
    for repeat in repeated:
        if not repeat.excuse:
            later = repeat.again.arrived - repeat.first.ended
            when = f"{later:.2f} s after its answer" if later >= 0 else "during another such call"
            yield Problem(
                DOUBLED,
                f"asked the Routing Service again {when}, and no fault excuses it",
                repeat.key,
            )


def _tracebacks(tracebacks: Sequence[Traceback]) -> Iterator[Problem]:
    for traceback in tracebacks:
        named = _EVENT.search(traceback.entry)
        yield Problem(
            WRONG,
            f"a traceback in {traceback.log}: {traceback.error}, beneath: {traceback.entry}",
            named[1] if named else "",
        )
