"""Tracebacks in the product's logs: faults that its code does not handle.

A fault that it handles is logged in one line. A traceback may have consumed an attempt or ended a
process, and the counters balance all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from loadtest.harness.accounts import Traceback

PROGRAMS = ("gateway", "ops", "scheduler", "worker-")
_MARK = "Traceback (most recent call last)"
_ENTRY = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:.]+Z "
)  # how every entry begins; a traceback follows on its own lines


def tracebacks(logs: Path) -> list[Traceback]:
    """The tracebacks in the logs of the product's programs, rotated logs included."""
    found: list[Traceback] = []
    for path in sorted(logs.glob("*.log*")):
        if path.name.startswith(PROGRAMS):
            with path.open(errors="replace") as lines:
                for entry, beneath in _entries(lines):
                    if any(_MARK in line for line in beneath):
                        found.append(Traceback(path.name, entry, _error(beneath)))
    return found


def _entries(lines: Iterator[str]) -> Iterator[tuple[str, list[str]]]:
    """Each entry with the lines beneath it."""
    entry, beneath = "", list[str]()
    for line in lines:
        if _ENTRY.match(line):
            yield entry, beneath
            entry, beneath = line.strip(), []
        else:
            beneath.append(line.rstrip().removeprefix("    | "))
    yield entry, beneath


def _error(beneath: list[str]) -> str:
    """The last line of the last traceback: the error's kind and text."""
    return next((line for line in reversed(beneath) if line and not line[0].isspace()), "")
