"""``status`` and ``watch``: where everything stands."""

from __future__ import annotations

import sys
import time
from argparse import Namespace

from conf.settings import Settings
from gateway.cli.text import span, table
from scheduler.connection import RedisConnection
from scheduler.errors import RedisUnavailable
from scheduler.inspector import Counters, Inspector
from scheduler.keys import LANES

CLEAR_SCREEN = "\x1b[H\x1b[2J"
COUNTERS = (
    "accepted",
    "duplicates",
    "conflicting",
    "done",
    "retried",
    "deferred",
    "buried",
    "replayed",
    "dropped",
    "crashed",
    "limited",
    "refused_full",
)


def status(settings: Settings, arguments: Namespace) -> int:
    """One look."""
    print("\n".join(lines(Inspector(RedisConnection(settings.redis_url)), settings)))
    return 0


def watch(settings: Settings, arguments: Namespace) -> int:
    """A look every second until interrupted; outlasts a Redis that is away."""
    inspector = Inspector(RedisConnection(settings.redis_url))
    try:
        while True:
            try:
                text = "\n".join(lines(inspector, settings))
            except RedisUnavailable as error:
                text = f"redis is away ({error})"
            clear = CLEAR_SCREEN if sys.stdout.isatty() else ""
            print(f"{clear}{time.strftime('%H:%M:%S')}\n{text}", flush=True)
            time.sleep(arguments.interval)
    except KeyboardInterrupt:
        return 0


def lines(inspector: Inspector, settings: Settings) -> list[str]:
    """Everything an operator looks for first."""
    books = inspector.counters()
    breaker = inspector.breaker()
    done = books.count("done")
    mean = (
        f", {span(books.count('done_ms') / done)} from accepted to done on average" if done else ""
    )
    return [
        *table(("lane", "source", "waiting", "locked"), _waiting(books)),
        "",
        f"retrying {books.retrying}   dead {books.dead}   tombstones {books.tombstones}   "
        f"backlog {books.unfinished} of {settings.backlog_max_events}   "
        f"draining {books.stats.get('drain_per_second', '0')}/s{mean}",
        f"routing breaker: {breaker.get('state', 'closed')}"
        + (
            f", next probe in {span(max(0, int(breaker['until']) - books.now_ms))}"
            if breaker.get("state") == "open"
            else ""
        ),
        "   ".join(f"{name} {books.count(name)}" for name in COUNTERS),
        "",
        *table(
            ("process", "lane", "pid", "slots", "busy"),
            [
                (
                    p["owner"],
                    p.get("lane", ""),
                    p.get("pid", ""),
                    p.get("slots", ""),
                    p.get("busy", ""),
                )
                for p in inspector.processes()
            ],
        ),
        *_secrets(books),
        *_warnings(books, settings),
    ]


def _secrets(books: Counters) -> list[str]:
    """Which secrets still sign, so that an operator sees when a retired one has fallen silent."""
    rows = []
    for stat, ms in sorted(books.stats.items()):
        kind, *labels = stat.split(":")
        if kind == "seen":
            count = books.count(":".join(("secret", *labels)))
            rows.append((*labels, str(count), f"{span(max(0, books.now_ms - int(ms)))} ago"))
    return ["", *table(("source", "secret", "events", "last matched"), rows)] if rows else []


def _waiting(books: Counters) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for lane in LANES:
        rows.append(
            (lane, "(all)", str(sum(books.waiting[lane].values())), str(books.locked[lane]))
        )
        rows += [
            (lane, source, str(count), "") for source, count in sorted(books.waiting[lane].items())
        ]
    return rows


def _warnings(books: Counters, settings: Settings) -> list[str]:
    found = []
    if books.dead >= 0.8 * settings.dead_max_events:
        found.append(
            f"WARNING: {books.dead} dead letters of at most {settings.dead_max_events}: "
            "replay or drop them, or the edge answers 503"
        )
    if not books.reconciled:
        found.append("WARNING: the books do not balance: python -m gateway audit")
    return found
