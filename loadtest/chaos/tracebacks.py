"""Tracebacks in the product's logs: an outage that it did not take for one.

Whatever dies is said in a line. A traceback is a fault that nobody foresaw; it may have burnt an
attempt, or ended a process that nobody killed, and the books balance all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from loadtest.harness.accounts import Trace

PROGRAMS = ("gateway", "ops", "scheduler", "worker-")
_MARK = "Traceback (most recent call last)"
_ENTRY = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z ")  # how every entry begins; a trace goes on beneath


def traces(logs: Path) -> list[Trace]:
    """Those in the logs of all programs of ours, rotated ones among them."""
    found: list[Trace] = []
    for path in sorted(logs.glob("*.log*")):
        if path.name.startswith(PROGRAMS):
            with path.open(errors="replace") as lines:
                for entry, beneath in _entries(lines):
                    if any(_MARK in line for line in beneath):
                        found.append(Trace(path.name, entry, _error(beneath)))
    return found


def _entries(lines: Iterator[str]) -> Iterator[tuple[str, list[str]]]:
    """Each entry with what stands beneath it."""
    entry, beneath = "", list[str]()
    for line in lines:
        if _ENTRY.match(line):
            yield entry, beneath
            entry, beneath = line.strip(), []
        else:
            beneath.append(line.rstrip().removeprefix("    | "))
    yield entry, beneath


def _error(beneath: list[str]) -> str:
    """The last line of the last trace: the error's kind and words."""
    return next((line for line in reversed(beneath) if line and not line[0].isspace()), "")
