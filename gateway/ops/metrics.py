"""The books as Prometheus text (exposition format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scheduler.inspector import Counters
from scheduler.keys import LANES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[dict[str, str], float]

# Counters of the stats hash that stand for themselves; those with a colon are labelled below.
COUNTERS = {
    "accepted": "Events stored for the first time.",
    "duplicates": "Events that were known already.",
    "conflicting": "Duplicates whose body differed from the first one's.",
    "refused_full": "Events refused because the backlog or the dead letters were at their cap.",
    "limited": "Events refused because their source was over its quota.",
    "reserved": "Reservations by workers.",
    "forwarded": "Events that went on to the routing lane.",
    "done": "Events finished.",
    "retried": "Failed attempts that are tried again.",
    "deferred": "Events given back without burning an attempt.",
    "buried": "Events that became dead letters.",
    "replayed": "Dead letters brought back.",
    "dropped": "Dead letters given up.",
    "crashed": "Locks whose holder vanished.",
    "skipped": "List entries that did not fit their event.",
    "refused_stale": "Verbs of holders that held the lock no more.",
    "trimmed": "Tombstones removed.",
}
LABELLED = {"limited": ("source",), "done": ("outcome",), "buried": ("reason",)}
SECRET = ("source", "secret")  # the environment variable that holds it


def render(books: Counters, processes: list[dict[str, str]], breaker: str) -> str:
    """All metrics; a line each."""
    return "\n".join(_lines(books, processes, breaker)) + "\n"


def _lines(books: Counters, processes: list[dict[str, str]], breaker: str) -> Iterator[str]:
    for name, text in COUNTERS.items():
        yield from _metric(f"{name}_total", "counter", text, [({}, books.count(name))])
    for name, labels in LABELLED.items():
        yield from _metric(
            f"{name}_by_{labels[-1]}_total",
            "counter",
            f"{name.capitalize()}, by {' and '.join(labels)}.",
            _labelled(books, name, labels),
        )
    yield from _metric(
        "secret_matched_total",
        "counter",
        "Events that a secret signed.",
        _labelled(books, "secret", SECRET),
    )
    yield from _metric(
        "secret_last_matched_timestamp_seconds",
        "gauge",
        "When the latest event came that a secret signed.",
        [(labels, ms / 1000) for labels, ms in _labelled(books, "seen", SECRET)],
    )
    yield from _metric(
        "done_seconds_total",
        "counter",
        "Time from accepted to done, summed up.",
        [({}, books.count("done_ms") / 1000)],
    )
    yield from _metric(
        "waiting",
        "gauge",
        "Events ready to be taken.",
        [
            ({"lane": lane, "source": source}, count)
            for lane in LANES
            for source, count in sorted(books.waiting[lane].items())
        ],
    )
    yield from _metric(
        "locked",
        "gauge",
        "Events in work.",
        [({"lane": lane}, books.locked[lane]) for lane in LANES],
    )
    for name, value, text in (
        ("retrying", books.retrying, "Events that wait for their next attempt."),
        ("dead", books.dead, "Dead letters."),
        ("tombstones", books.tombstones, "Finished events that are remembered."),
        ("backlog_bytes", books.count("backlog_bytes"), "Bodies of the backlog."),
        ("books_missing", books.missing, "Accepted events that are nowhere; must be 0."),
        ("breaker_closed", float(breaker == "closed"), "1 while routing calls flow freely."),
    ):
        yield from _metric(name, "gauge", text, [({}, value)])
    for field in ("slots", "busy"):
        yield from _metric(
            f"worker_{field}",
            "gauge",
            f"{field.capitalize()} of a worker process.",
            [
                ({"owner": p["owner"], "lane": p.get("lane", "")}, float(p[field]))
                for p in processes
                if p.get(field, "").isdigit()
            ],
        )


def _labelled(books: Counters, name: str, labels: tuple[str, ...]) -> list[Sample]:
    found: list[Sample] = []
    for stat, value in sorted(books.stats.items()):
        head, *rest = stat.split(":", len(labels))
        if head == name and len(rest) == len(labels):
            found.append((dict(zip(labels, rest, strict=True)), float(value)))
    return found


def _metric(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    name = f"gateway_{name}"
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        inner = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
        yield f"{name}{{{inner}}} {value:.15g}" if inner else f"{name} {value:.15g}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
