"""The figures of a run, all of them measured, as a document and as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.harness.accounts import Document
from loadtest.harness.figures import percentile
from loadtest.harness.history import ACCEPTED, DUPLICATE, Answer, most_at_once
from loadtest.harness.verdict import Verdict
from loadtest.load.sampling import Sample


@dataclass(frozen=True)
class Measured:
    """Everything measured in a run. failures: by locust's own count. burst_end, end: when
    everything was done, seconds since 1970. slots: routing calls that may run at once. problems:
    why the run did not pass."""

    burst: Sequence[Answer]
    sustained: Sequence[Answer]
    failures: Mapping[str, int]
    samples: Sequence[Sample]
    ledger: Mapping[str, Document]
    verdict: Verdict
    simulator: Mapping[str, Any]
    burst_end: float
    end: float
    slots: int
    problems: Sequence[str]
    audit: str
    versions: Mapping[str, str]
    commands: Sequence[str]


def document(m: Measured) -> Document:
    done = [entry for entry in m.ledger.values() if "done_at" in entry]
    last = m.samples[-1]
    answers = [*m.burst, *m.sustained]
    calls = routing_calls(m.ledger)
    return {
        "passed": not m.problems,
        "problems": list(m.problems),
        "burst": {
            **_requests(m.burst, m.failures["burst"]),
            "most_at_once": most_at_once(m.burst),
            "all_done_after_s": round(m.burst_end - min(a.sent_at for a in m.burst), 1),
        },
        "sustained": {
            **_requests(m.sustained, m.failures["sustained"]),
            "requests_per_s": _rate(m.sustained),
        },
        "events": {
            "accepted": len({a.key for a in answers if a.status == ACCEPTED}),
            "done": last.done,
            "dead": last.dead,
            "duplicates_refused": sum(a.status == DUPLICATE for a in answers),
            "with_one_effect": not m.verdict.problems,
            "most_unfinished_at_once": max(sample.unfinished for sample in m.samples),
            "drained_s_after_the_last_post": round(
                m.end - max(a.answered_at for a in m.sustained), 1
            ),
            "s_until_done_without_route": _seconds([e for e in done if not needed_route(e)]),
            "s_until_done_with_route": _seconds([e for e in done if needed_route(e)]),
        },
        "routing": {
            "slots": m.slots,
            "events_routed": sum(calls.values()),
            **{
                name: m.simulator[name]
                for name in ("calls", "succeeded", "failed", "repeats", "max_concurrent")
            },
            "retries": last.retried,
            "events_that_failed_first_and_completed": recovered(calls),
            "calls_an_event_needed": {str(n): events for n, events in calls.items()},
        },
        "audit": m.audit.splitlines()[-1:],
        "versions": dict(m.versions),
        "commands": list(m.commands),
    }


def needed_route(entry: Document) -> bool:
    return bool((entry.get("decision") or {}).get("route"))


def routing_calls(ledger: Mapping[str, Document]) -> dict[int, int]:
    """Routing calls of an event -> events that are done and needed so many."""
    done = (e for e in ledger.values() if e.get("state") == "done" and needed_route(e))
    return dict(sorted(Counter(int(e.get("attempts") or 0) + 1 for e in done).items()))


def recovered(calls: Mapping[int, int]) -> int:
    """The events whose first routing call failed and which are done."""
    return sum(events for needed, events in calls.items() if needed > 1)


def _requests(answers: Sequence[Answer], failures: int) -> Document:
    times = [answer.ms for answer in answers]
    return {
        "requests": len(answers),
        "accepted_202": sum(answer.status == ACCEPTED for answer in answers),
        "duplicates_200": sum(answer.status == DUPLICATE for answer in answers),
        "failures": failures,
        "ack_ms": {
            name: round(percentile(times, share), 1)
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
        },
    }


def _rate(answers: Sequence[Answer]) -> float:
    span = max(answer.sent_at for answer in answers) - min(answer.sent_at for answer in answers)
    return round(len(answers) / span, 1) if span else 0.0


def _seconds(entries: Sequence[Document]) -> Document:
    """The seconds from the acceptance of an event until it was done, as percentiles."""
    times = [(entry["done_at"] - entry["received_at"]).total_seconds() for entry in entries]
    return {
        "events": len(times),
        "p50": round(percentile(times, 0.5), 3),
        "p99": round(percentile(times, 0.99), 3),
    }


def page(d: Document) -> str:
    """The document as Markdown."""
    burst, sustained, events, routing = d["burst"], d["sustained"], d["events"], d["routing"]
    direct, routed = events["s_until_done_without_route"], events["s_until_done_with_route"]
    one_effect = "yes" if events["with_one_effect"] else "NO"
    rows = [
        (
            "requests",
            f"{burst['requests']:,}, at most {burst['most_at_once']} under way at once",
            f"{sustained['requests']:,}, {sustained['requests_per_s']:g} a second",
        ),
        ("accepted (202)", f"{burst['accepted_202']:,}", f"{sustained['accepted_202']:,}"),
        ("duplicates (200)", f"{burst['duplicates_200']:,}", f"{sustained['duplicates_200']:,}"),
        ("**failures**", f"**{burst['failures']}**", f"**{sustained['failures']}**"),
        *(
            (
                f"acknowledged within, {name}",
                f"{burst['ack_ms'][name]:g} ms",
                f"{sustained['ack_ms'][name]:g} ms",
            )
            for name in ("p50", "p95", "p99", "max")
        ),
        (
            "all events done",
            f"{burst['all_done_after_s']:g} s after the first request",
            f"{events['drained_s_after_the_last_post']:g} s after the last request",
        ),
    ]
    lines = [
        "# Proof of load",
        "",
        "Written by `make load` from what it measured; the raw figures are in the same folder.",
        "",
        "**Passed.**" if d["passed"] else "**FAILED:** " + "; ".join(d["problems"]),
        "",
        "| | burst | sustained |",
        "|---|---|---|",
        *(f"| {name} | {left} | {right} |" for name, left, right in rows),
        "",
        f"- **Each accepted event had one effect: {one_effect}**: "
        f"{events['accepted']:,} ids that were answered 202, compared with Redis, the ledger, the "
        "shipments' counters and the calls that the Routing Service counted.",
        f"- **Successful retries: {routing['events_that_failed_first_and_completed']:,} events** "
        f"whose first routing call failed (503) and which completed; {routing['retries']:,} "
        f"retries in all, {events['dead']} dead letters.",
        f"- Routing calls: {routing['calls']:,}, of which {routing['succeeded']:,} were answered "
        f"after 2 s and {routing['failed']:,} failed; {routing['repeats']} repeated after a "
        f"success; at most {routing['max_concurrent']} at once in {routing['slots']} slots.",
        "- Calls that an event needed: "
        + ", ".join(
            f"{n}: {count:,} events" for n, count in routing["calls_an_event_needed"].items()
        ),
        f"- At most {events['most_unfinished_at_once']:,} events waited or were in work at once. "
        f"Those that needed no route were done within {direct['p50'] * 1000:g} ms (p50) and "
        f"{direct['p99'] * 1000:g} ms (p99) all the same; those that did, within "
        f"{routed['p50']:.1f} s and {routed['p99']:.1f} s.",
        f"- `python -m gateway audit --effects`: {' '.join(d['audit'])}",
        "",
        "Client, gateway, workers, Redis, MongoDB and simulator shared the cores: "
        + ", ".join(f"{name} {value}" for name, value in d["versions"].items())
        + ".",
        "",
        *(f"    {command}" for command in d["commands"]),
        "",
    ]
    return "\n".join(lines)
