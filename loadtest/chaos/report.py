"""The table of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from loadtest.chaos.plan import WEIGHTS
from loadtest.harness.accounts import Accounts, Document
from loadtest.harness.history import NO_ANSWER, Answer
from loadtest.harness.verdict import DOUBLED, LOST, WRONG, Verdict

NAMED = 5  # poisoned events that are listed

Rows = list[tuple[str, str]]


def table(accounts: Accounts, before: Verdict, after: Verdict, silence_seconds: float) -> list[str]:
    """before, after: the dead letters were replayed. silence_seconds: the longest time
    without any 2xx."""
    rows = [
        *_faults(accounts),
        ("", ""),
        *_answers(accounts.answers, silence_seconds),
        ("", ""),
        *_ends(accounts, before, after),
        ("", ""),
        *_effects(accounts, after),
    ]
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {text}".rstrip() for name, text in rows]


def _faults(accounts: Accounts) -> Rows:
    counts = Counter(fault.kind for fault in accounts.faults)
    stalled = sum(stall.until - stall.at for stall in accounts.stalls)
    return [
        ("faults", f"{counts.total():,}"),
        *((f"  {kind}", f"{counts[kind]:,}") for kind in WEIGHTS),
        ("the machine itself stalled for", f"{stalled:.1f} s in all"),
        ("tracebacks in the product's logs", f"{len(accounts.tracebacks):,}"),
    ]


def _answers(answers: Sequence[Answer], silence_seconds: float) -> Rows:
    statuses = Counter(answer.status for answer in answers)
    seen = Counter(answer.seen_in for answer in answers if answer.seen_in)
    unknown = Counter(answer.word for answer in answers if not answer.status)
    failed: set[str] = set()
    resends = 0
    for answer in sorted(answers, key=lambda answer: answer.sent_at):
        resends += not answer.seen_in and answer.key in failed
        if not answer.acknowledged:
            failed.add(answer.key)
    return [
        ("requests", f"{len(answers):,}"),
        ("  accepted (202)", f"{statuses[202]:,}"),
        ("  duplicates (200)", f"{statuses[200]:,}"),
        ("  refused (503, 429)", f"{statuses[503] + statuses[429]:,}"),
        ("  no answer", f"{statuses[NO_ANSWER]:,}{_list(unknown)}"),
        ("  sent again for want of a 2xx", f"{resends:,}"),
        ("  sent again on purpose, while", _list(seen).strip(" ()") or "never"),
        ("longest time without any 2xx", f"{silence_seconds:.1f} s"),
    ]


def _ends(accounts: Accounts, before: Verdict, after: Verdict) -> Rows:
    hashes = accounts.queue.hashes if accounts.queue else {}
    states = Counter(fields.get("state") for fields in hashes.values())
    rows = [
        ("acknowledged events (2xx)", f"{len(accounts.acknowledged):,}"),
        ("  done", f"{states['done']:,}"),
        ("  dead letters before their replay", _dead(before)),
        ("  and after it", _dead(after)),
    ]
    poisoned = before.dead.get("poison", [])
    rows += [("    poison", id) for id in poisoned[:NAMED]]
    if len(poisoned) > NAMED:
        rows.append(("    poison", f"and {len(poisoned) - NAMED} more"))
    return rows


def _effects(accounts: Accounts, verdict: Verdict) -> Rows:
    calls = Counter(call.outcome for call in accounts.calls or ())
    excuses = Counter(repeat.excuse for repeat in verdict.repeats if repeat.excuse)
    applied = sum(int(s.get("events_applied") or 0) for s in accounts.shipments.values())
    return [
        ("routing calls", f"{calls.total():,}{_list(calls)}"),
        ("  for an answered event, excused", f"{excuses.total():,}"),
        *(("", f"  {count} × {excuse}") for excuse, count in excuses.most_common()),
        ("  and with no excuse", f"{len(verdict.repeats) - excuses.total():,}"),
        ("status effects on shipments", f"{applied:,}"),
        ("", ""),
        ("LOST", f"{len(verdict.of(LOST)):,}"),
        ("DOUBLED", f"{len(verdict.of(DOUBLED)):,}"),
        ("WRONG otherwise", f"{len(verdict.of(WRONG)):,}"),
    ]


def summary(
    accounts: Accounts, before: Verdict, after: Verdict, silence_seconds: float
) -> Document:
    """The figures of the table, for the line of JSON at the end."""
    statuses = Counter(answer.status for answer in accounts.answers)
    return {
        "faults": len(accounts.faults),
        "requests": len(accounts.answers),
        "accepted": statuses[202],
        "duplicates": statuses[200],
        "promised": len(accounts.acknowledged),
        "unanswered": statuses[NO_ANSWER],
        "dead": {reason: len(ids) for reason, ids in before.dead.items()},
        "dead_after_replay": {reason: len(ids) for reason, ids in after.dead.items()},
        "repeats_excused": sum(bool(repeat.excuse) for repeat in after.repeats),
        "repeats_unexcused": sum(not repeat.excuse for repeat in after.repeats),
        "longest_silence_s": round(silence_seconds, 2),
        "lost": len(after.of(LOST)),
        "doubled": len(after.of(DOUBLED)),
        "wrong": len(after.of(WRONG)),
    }


def _dead(verdict: Verdict) -> str:
    return f"{sum(map(len, verdict.dead.values())):,}" + _list(
        {reason: len(ids) for reason, ids in verdict.dead.items()}
    )


def _list(counts: Mapping[str, int]) -> str:
    """`` (a 3, b 1)``; empty for nothing."""
    parts = [f"{name} {count:,}" for name, count in sorted(counts.items()) if count]
    return f" ({', '.join(parts)})" if parts else ""
