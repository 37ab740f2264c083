"""``status`` and ``watch``: queues, counters, processes and warnings."""

from __future__ import annotations

import sys
import time
from argparse import Namespace

from conf.settings import Settings
from gateway.cli.text import span, table
from scheduler.connection import RedisConnection
from scheduler.constants import DEAD_WARNING_SHARE
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
    """Print it once."""
    print("\n".join(lines(Inspector(RedisConnection(settings.redis_url)), settings)))
    return 0


def watch(settings: Settings, arguments: Namespace) -> int:
    """Print it every ``--interval`` seconds until interrupted, also while Redis is unavailable."""
    inspector = Inspector(RedisConnection(settings.redis_url))
    try:
        while True:
            try:
                text = "\n".join(lines(inspector, settings))
            except RedisUnavailable as error:
                text = f"redis is unavailable ({error})"
            clear = CLEAR_SCREEN if sys.stdout.isatty() else ""
            print(f"{clear}{time.strftime('%H:%M:%S')}\n{text}", flush=True)
            time.sleep(arguments.interval)
    except KeyboardInterrupt:
        return 0


def lines(inspector: Inspector, settings: Settings) -> list[str]:
    """The whole output; people's scripts read it, so its layout is stable."""
    counters = inspector.counters()
    breaker = inspector.breaker()
    done = counters.count("done")
    mean = (
        f", {span(counters.count('done_ms') / done)} from accepted to done on average"
        if done
        else ""
    )
    return [
        *table(("lane", "source", "waiting", "locked"), _waiting(counters)),
        "",
        f"retrying {counters.retrying}   dead {counters.dead}   tombstones {counters.tombstones}   "
        f"backlog {counters.unfinished} of {settings.backlog_max_events}   "
        f"draining {counters.stats.get('drain_per_second', '0')}/s{mean}",
        f"routing breaker: {breaker.get('state', 'closed')}"
        + (
            f", next probe in {span(max(0, int(breaker['until']) - counters.now_ms))}"
            if breaker.get("state") == "open"
            else ""
        ),
        "   ".join(f"{name} {counters.count(name)}" for name in COUNTERS),
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
        *_secrets(counters),
        *_warnings(counters, settings),
    ]


def _secrets(counters: Counters) -> list[str]:
    """When each secret last matched: a retired one may be removed once it no longer does."""
    rows = []
    for stat, ms in sorted(counters.stats.items()):
        kind, *labels = stat.split(":")
        if kind == "seen":
            count = counters.count(":".join(("secret", *labels)))
            rows.append((*labels, str(count), f"{span(max(0, counters.now_ms - int(ms)))} ago"))
    return ["", *table(("source", "secret", "events", "last matched"), rows)] if rows else []


def _waiting(counters: Counters) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for lane in LANES:
        rows.append(
            (lane, "(all)", str(sum(counters.waiting[lane].values())), str(counters.locked[lane]))
        )
        rows += [
            (lane, source, str(count), "")
            for source, count in sorted(counters.waiting[lane].items())
        ]
    return rows


def _warnings(counters: Counters, settings: Settings) -> list[str]:
    found = []
    if counters.dead >= DEAD_WARNING_SHARE * settings.dead_max_events:
        found.append(
            f"WARNING: {counters.dead} dead letters of at most {settings.dead_max_events}: "
            "replay or drop them, or the edge answers 503"
        )
    if not counters.reconciled:
        found.append("WARNING: the counters do not reconcile: python -m gateway audit")
    return found
