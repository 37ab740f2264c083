"""``show``, ``retry list`` and ``dead list | replay | drop``: single events."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import Literal

from pymongo.errors import PyMongoError

from conf.settings import Settings
from gateway.cli.text import moment, span, table
from scheduler.connection import RedisConnection
from scheduler.inspector import PAGE, Inspector
from scheduler.queue import Queue
from workers import mongo

TIMES = ("received_at", "live_since", "next_at")


def show(settings: Settings, arguments: Namespace) -> int:
    """Everything that Redis and the ledger hold about one event; returns 1 if neither knows it."""
    inspector = Inspector(RedisConnection(settings.redis_url))
    id = arguments.id
    fields = inspector.event(id)
    body = inspector.body(id)
    database = mongo.connect(settings.mongo_url, 1)
    try:
        with database.client:
            entry = database["events"].find_one({"_id": id})
    except PyMongoError as error:
        print(f"(the ledger cannot be read: {type(error).__name__})", file=sys.stderr)
        entry = None
    if not fields and entry is None:
        print(f"{id}: not known; an id is <source>:<event id>", file=sys.stderr)
        return 1
    print(f"{id}\n  in redis: {'' if fields else 'not known (any more)'}")
    for name, value in fields.items():
        print(f"    {name:<12} {f'{value}  ({moment(value)})' if name in TIMES else value}")
    if body is not None:
        print(f"    body         {len(body)} bytes: {body[:500].decode(errors='replace')}")
    print(f"  in the ledger: {'' if entry else 'nothing'}")
    for name, value in (entry or {}).items():
        print(f"    {name:<12} {value}")
    return 0


def retry_list(settings: Settings, arguments: Namespace) -> int:
    """Events waiting for their next attempt, the earliest first."""
    now = time.time() * 1000
    rows = [
        (
            e.id,
            span(e.at_ms - now),
            e.fields.get("lane", ""),
            e.fields.get("attempts", ""),
            e.fields.get("last_error") or e.fields.get("reason", ""),
        )
        for e in Inspector(RedisConnection(settings.redis_url)).listed("retry", 0, arguments.count)
    ]
    print("\n".join(table(("id", "next in", "lane", "attempts", "why"), rows)))
    return 0


def dead_list(settings: Settings, arguments: Namespace) -> int:
    """Dead letters, the oldest first."""
    inspector = Inspector(RedisConnection(settings.redis_url))
    rows = [
        (
            e.id,
            moment(e.at_ms),
            e.fields.get("lane", ""),
            e.fields.get("attempts", ""),
            e.fields.get("reason", ""),
            e.fields.get("last_error", ""),
        )
        for e in inspector.listed("dead", 0, arguments.count)
        if arguments.reason in (None, e.fields.get("reason"))
    ]
    print("\n".join(table(("id", "died at", "lane", "attempts", "reason", "last error"), rows)))
    return 0


def dead_replay(settings: Settings, arguments: Namespace) -> int:
    """Queue dead letters again; returns 1 if one of them could not be."""
    queue = Queue(RedisConnection(settings.redis_url))
    return _each(settings, arguments, queue.replay, "replayed")


def dead_drop(settings: Settings, arguments: Namespace) -> int:
    """Delete dead letters for good; returns 1 if one of them could not be."""
    queue = Queue(RedisConnection(settings.redis_url))
    return _each(settings, arguments, queue.drop, "dropped")


def _each(
    settings: Settings,
    arguments: Namespace,
    verb: Callable[[str], str],
    success: Literal["replayed", "dropped"],
) -> int:
    if not arguments.ids and not arguments.all and arguments.reason is None:
        print(
            f"name the ids, or --reason R, or --all, of the dead letters to be {success}",
            file=sys.stderr,
        )
        return 64
    inspector = Inspector(RedisConnection(settings.redis_url))
    ids = iter(arguments.ids) if arguments.ids else _dead_ids(inspector, arguments.reason)
    done, failed = 0, 0
    for id in ids:
        outcome = verb(id)
        if outcome == success:
            done += 1
            time.sleep(1 / arguments.rate)  # a bulk replay must not crowd out live traffic
        else:
            failed += 1
            print(f"{id}: not {success}: {_why_not(outcome)}", file=sys.stderr)
    print(f"{done} {success}" + (f", {failed} not" if failed else ""))
    return 1 if failed else 0


def _dead_ids(inspector: Inspector, reason: str | None) -> Iterator[str]:
    """A snapshot: an event that is dead-lettered again while this runs is not replayed twice."""
    ids: list[str] = []
    start = 0
    while page := inspector.listed("dead", start, PAGE):
        start += PAGE
        ids += [event.id for event in page if reason in (None, event.fields.get("reason"))]
    return iter(ids)


def _why_not(outcome: str) -> str:
    """outcome: as returned by ``Queue.replay`` and ``Queue.drop``."""
    if outcome == "":
        return "no such event"
    if outcome == "no_body":
        return "its body is no longer stored; ask the courier to send it again under a new id"
    return f"it is not dead: {outcome}"
