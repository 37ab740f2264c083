"""``audit``: do the counters reconcile, and do Redis and the ledger agree?

Events move while the audit reads. It therefore reads each difference twice more, AGAIN_SECONDS
apart, and reports only what remains.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from pymongo.database import Database

from conf.settings import Settings
from scheduler.connection import RedisConnection
from scheduler.inspector import PAGE, Counters, Inspector
from workers import mongo

AGAIN_SECONDS = 0.5
SHOWN = 20

Document = dict[str, Any]
T = TypeVar("T")


@dataclass
class Findings:
    """disagreements: id -> what Redis and the ledger say.
    lost: ids that the ledger calls processing and Redis does not know.
    effects: shipment id -> its counter and the number of its events in the ledger."""

    counters: Counters
    disagreements: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    effects: dict[str, str] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        return self.counters.reconciled and not (self.disagreements or self.lost or self.effects)


def audit(settings: Settings, arguments: Namespace) -> int:
    """Print the findings; returns 0 if there are none, else 1."""
    inspector = Inspector(RedisConnection(settings.redis_url))
    database = mongo.connect(settings.mongo_url, 1)
    with database.client:
        findings = examine(inspector, database, effects=arguments.effects)
    for line in report(findings):
        print(line)
    return 0 if findings.clean else 1


def examine(
    inspector: Inspector,
    database: Database[Document],
    *,
    effects: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> Findings:
    """All checks of the audit.

    effects: also compare each shipment's counter with the ledger; reads both collections whole.
    """
    ledger = database["events"]
    counters = _again(inspector.counters, lambda counters: not counters.reconciled, sleep)
    findings = Findings(counters)
    differing = [
        id for page in inspector.known_ids() for id in _disagreements(inspector, database, page)
    ]
    findings.disagreements = _again(
        lambda: _disagreements(inspector, database, differing), bool, sleep
    )
    processing = (d["_id"] for d in ledger.find({"state": "processing"}, {"_id": 1}))
    unknown = [id for page in _pages(processing) for id in _unknown(inspector, page)]
    findings.lost = _again(lambda: _lost(inspector, database, unknown), bool, sleep)
    if effects:
        findings.effects = _again(lambda: _effects(database), bool, sleep)
    return findings


def _again(read: Callable[[], T], bad: Callable[[T], bool], sleep: Callable[[float], None]) -> T:
    result = read()
    for _ in range(2):
        if not bad(result):
            break
        sleep(AGAIN_SECONDS)
        result = read()
    return result


def _disagreements(
    inspector: Inspector, database: Database[Document], ids: Iterable[str]
) -> dict[str, str]:
    found = {}
    for page in _pages(ids):
        states = inspector.states(page)
        ledger = {
            d["_id"]: d["state"]
            for d in database["events"].find({"_id": {"$in": page}}, {"state": 1})
        }
        for id, state in states.items():
            recorded = ledger.get(id)
            # An event that still waits although its ledger entry is done crashed between the two;
            # the next attempt absorbs it. Nothing corrects one that Redis calls done without a
            # done ledger entry, or dead with one.
            if (state == "done") != (recorded == "done") and state in ("done", "dead"):
                found[id] = f"redis says {state}, the ledger says {recorded or 'nothing'}"
    return found


def _unknown(inspector: Inspector, ids: list[str]) -> list[str]:
    known = inspector.states(ids)
    return [id for id in ids if id not in known]


def _lost(inspector: Inspector, database: Database[Document], ids: list[str]) -> list[str]:
    still_processing = [
        d["_id"]
        for page in _pages(ids)
        for d in database["events"].find({"_id": {"$in": page}, "state": "processing"}, {"_id": 1})
    ]
    return _unknown(inspector, still_processing)


def _effects(database: Database[Document]) -> dict[str, str]:
    """Shipments whose counter differs from the number of their applied events in the ledger.

    A crash between effect and ledger leaves the id in ``recent_events``: it counts as applied.
    """
    applied = {
        d["_id"]: d["n"]
        for d in database["events"].aggregate(
            [
                {"$match": {"applied_at": {"$exists": True}}},
                {"$group": {"_id": "$shipment_id", "n": {"$sum": 1}}},
            ]
        )
    }
    wrong = {}
    for shipment in database["shipments"].find({}, {"events_applied": 1, "recent_events": 1}):
        counted, recorded = shipment.get("events_applied") or 0, applied.get(shipment["_id"], 0)
        if counted != recorded:
            recent = shipment.get("recent_events") or []
            in_ledger = database["events"].count_documents(
                {"_id": {"$in": recent}, "applied_at": {"$exists": True}}
            )
            if counted != recorded + len(recent) - in_ledger:
                wrong[shipment["_id"]] = f"counted {counted} events, the ledger applied {recorded}"
    return wrong


def report(findings: Findings) -> list[str]:
    """The findings as text lines; the last one is the result."""
    b = findings.counters
    lines = [
        f"accepted {b.count('accepted')} = done {b.count('done')} + waiting {b.waiting_total} + "
        f"locked {b.locked_total} + retrying {b.retrying} + dead {b.dead} + "
        f"dropped {b.count('dropped')}",
    ]
    if b.unaccounted:
        lines.append(
            f"counters do not reconcile: {abs(b.unaccounted)} events are "
            + ("missing" if b.unaccounted > 0 else "too many")
        )
    if b.count("backlog") != b.unfinished:
        lines.append(
            f"counters do not reconcile: the backlog gauge says {b.count('backlog')}, "
            f"{b.unfinished} events are unfinished"
        )
    for title, rows in (
        ("redis and the ledger disagree", [f"{i}: {w}" for i, w in findings.disagreements.items()]),
        (
            "lost by Redis (processing in the ledger, unknown to Redis; ask the courier to send "
            "them again)",
            findings.lost,
        ),
        (
            "shipments whose counter differs from the ledger",
            [f"{i}: {w}" for i, w in findings.effects.items()],
        ),
    ):
        if rows:
            lines.append(f"{title}: {len(rows)}")
            lines += [f"  {row}" for row in rows[:SHOWN]]
            lines += [f"  … and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
    lines.append("audit: " + ("balanced" if findings.clean else "NOT balanced"))
    return lines


def _pages(ids: Iterable[str]) -> Iterable[list[str]]:
    iterator = iter(ids)
    while page := list(islice(iterator, PAGE)):
        yield page
