"""Everything about one event in the order of time: its requests and answers, its routing calls, the
faults around them, what the logs say, and where it is now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtest.harness.accounts import Accounts

AROUND_SECONDS = 5.0  # faults up to so long after the last call or answer are shown
LOG_LINES = 60


def timeline(accounts: Accounts, key: str, logs: Path | None) -> list[str]:
    """Lines for people. logs: the folder with the stack's logs, if there is one."""
    moments = sorted([*_answers(accounts, key), *_calls(accounts, key)])
    if moments:
        first, last = moments[0][0] - 1, moments[-1][0] + AROUND_SECONDS
        moments += [
            (fault.at, f"FAULT    {fault.kind}: {fault.target} (until {_clock(fault.until)})")
            for fault in accounts.faults
            if fault.until >= first and fault.at <= last
        ]
    if logs is not None:
        moments += list(_log_lines(key, logs))[:LOG_LINES]
    lines = [f"the timeline of {key}", *(f"  {_clock(at)}  {text}" for at, text in sorted(moments))]
    if (queue := accounts.queue) is not None:
        lines += [
            f"  redis     {_shown(queue.hashes.get(key)) or 'does not know it'}",
            f"  place     {', '.join(queue.places.get(key, ())) or 'none'}; body "
            + (f"of {len(queue.bodies[key])} bytes" if key in queue.bodies else "none"),
        ]
    lines.append(f"  ledger    {_shown(accounts.ledger.get(key)) or 'nothing'}")
    event = accounts.events.get(key)
    if event is not None:
        lines += [
            f"  shipment  {_shown(accounts.shipments.get(event.shipment)) or 'none'}",
            f"  sent      {(event.body or b'').decode(errors='replace')}",
        ]
    return lines


def _answers(accounts: Accounts, key: str) -> Iterator[tuple[float, str]]:
    for answer in accounts.answers:
        if answer.key == key:
            state = f", while Redis had it {answer.seen_in}" if answer.seen_in else ""
            yield answer.sent_at, f"{answer.client} sends it{state}"
            status = answer.status or "no answer"
            yield answer.answered_at, f"{answer.client} gets {status}: {answer.word}"


def _calls(accounts: Accounts, key: str) -> Iterator[tuple[float, str]]:
    for call in accounts.calls or ():
        if call.key == key:
            yield call.arrived, f"process {call.pid or '?'} calls the Routing Service"
            yield call.ended, f"that call of process {call.pid or '?'} ends: {call.outcome}"


def _log_lines(key: str, logs: Path) -> Iterator[tuple[float, str]]:
    """The lines that name the event. Every line of the product's logs starts with its time."""
    for path in sorted(logs.glob("*.log*")):
        with path.open(errors="replace") as lines:
            for line in lines:
                if _names(line, key):
                    at, _, text = line.rstrip().partition(" ")
                    try:
                        moment = datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%fZ")
                    except ValueError:
                        continue
                    yield moment.replace(tzinfo=UTC).timestamp(), f"log      {text}"


def _names(line: str, key: str) -> bool:
    """The id itself, not a longer one that starts with it (bench:1-2-3 in bench:1-2-33)."""
    at = line.find(key)
    return at >= 0 and not line[at + len(key) : at + len(key) + 1].isalnum()


def _shown(document: Mapping[str, Any] | None) -> str:
    return json.dumps(document, default=str) if document else ""


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
