"""The checks of what events have caused: in the ledger, on shipments and at the Routing Service.

Part of the checker, and as independent of the product.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from loadtest.harness.accounts import Accounts, Call, Document
from loadtest.harness.history import Event
from loadtest.harness.verdict import DOUBLED, LOST, WRONG, Problem

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


def ledger(accounts: Accounts, replayed: bool) -> Iterator[Problem]:
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


def shipments(accounts: Accounts) -> Iterator[Problem]:
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
            # The problem names an event of the ledger that is not in recent_events: its effect
            # may be the lost one.
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


def routes(accounts: Accounts) -> Iterator[Problem]:
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


def repeated(routed: Mapping[str, int]) -> Iterator[Problem]:
    for key, count in routed.items():
        if count > 1:
            yield Problem(DOUBLED, f"{count} calls were answered with a route", key)


def calls(accounts: Accounts, calls: Sequence[Call]) -> Iterator[Problem]:
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
