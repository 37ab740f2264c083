"""The counters as Prometheus text (exposition format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scheduler.inspector import Counters
from scheduler.keys import LANES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[dict[str, str], float]

# Counters of the stats hash without labels; LABELLED are those whose fields are name:label[:label].
COUNTERS = {
    "accepted": "Events stored for the first time.",
    "duplicates": "Requests with an event that was already stored.",
    "conflicting": "Duplicates whose body differed from the first one's.",
    "refused_full": "Events rejected because the backlog or the dead letters had reached a cap.",
    "limited": "Events rejected because their source was over its quota.",
    "reserved": "Reservations by workers.",
    "forwarded": "Events forwarded to the routing lane.",
    "done": "Events finished.",
    "retried": "Failed attempts with a retry scheduled.",
    "deferred": "Events postponed without consuming an attempt.",
    "buried": "Events that became dead letters.",
    "replayed": "Dead letters replayed.",
    "dropped": "Dead letters dropped.",
    "crashed": "Locks whose holder crashed or lost its lease.",
    "skipped": "List entries that did not match the state of their event.",
    "refused_stale": "Verbs rejected because the caller no longer held the lock.",
    "trimmed": "Tombstones removed.",
}
LABELLED = {"limited": ("source",), "done": ("outcome",), "buried": ("reason",)}
SECRET = ("source", "secret")  # secret: the environment variable that holds it


def render(counters: Counters, processes: list[dict[str, str]], breaker: str) -> str:
    """All metrics. breaker: state of the routing breaker."""
    return "\n".join(_lines(counters, processes, breaker)) + "\n"


def _lines(counters: Counters, processes: list[dict[str, str]], breaker: str) -> Iterator[str]:
    for name, text in COUNTERS.items():
        yield from _metric(f"{name}_total", "counter", text, [({}, counters.count(name))])
    for name, labels in LABELLED.items():
        yield from _metric(
            f"{name}_by_{labels[-1]}_total",
            "counter",
            f"{name.capitalize()}, by {' and '.join(labels)}.",
            _labelled(counters, name, labels),
        )
    yield from _metric(
        "secret_matched_total",
        "counter",
        "Events signed with a secret.",
        _labelled(counters, "secret", SECRET),
    )
    yield from _metric(
        "secret_last_matched_timestamp_seconds",
        "gauge",
        "Time of the latest event signed with a secret.",
        [(labels, ms / 1000) for labels, ms in _labelled(counters, "seen", SECRET)],
    )
    yield from _metric(
        "done_seconds_total",
        "counter",
        "Sum of the times from accepted to done.",
        [({}, counters.count("done_ms") / 1000)],
    )
    yield from _metric(
        "waiting",
        "gauge",
        "Events ready to be reserved.",
        [
            ({"lane": lane, "source": source}, count)
            for lane in LANES
            for source, count in sorted(counters.waiting[lane].items())
        ],
    )
    yield from _metric(
        "locked",
        "gauge",
        "Events held by a worker.",
        [({"lane": lane}, counters.locked[lane]) for lane in LANES],
    )
    for name, value, text in (
        ("retrying", counters.retrying, "Events that wait for their next attempt."),
        ("dead", counters.dead, "Dead letters."),
        ("tombstones", counters.tombstones, "Finished events that Redis remembers."),
        ("backlog_bytes", counters.count("backlog_bytes"), "Size of the backlog's bodies."),
        (
            "books_missing",
            counters.unaccounted,
            "Accepted events that are in no structure; must be 0.",
        ),
        ("breaker_closed", float(breaker == "closed"), "1 while the routing breaker is closed."),
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


def _labelled(counters: Counters, name: str, labels: tuple[str, ...]) -> list[Sample]:
    found: list[Sample] = []
    for stat, value in sorted(counters.stats.items()):
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
