"""Typed access to one source's table, which collects every problem as one line.

Invariant: a read never raises. For a wrong value it adds a problem and returns a placeholder, so
that all keys are checked. The caller must not use any value if there are problems.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from conf.sources.json_pointer import Pointer
from conf.sources.statuses import Status

HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+")  # no _: in WSGI it equals -
IGNORED = "ignored"  # in a status map, instead of a canonical status
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Table:
    """The keys of a source, merged with its preset. where: file and table, for messages."""

    def __init__(self, where: str, keys: Mapping[str, Any], problems: list[str]) -> None:
        self.where, self.keys, self.problems = where, keys, problems

    def report(self, key: str, wrong: str) -> None:
        self.problems.append(f"{self.where} {key}: {wrong}")

    def allow_only(self, allowed: Iterable[str], why: str = "") -> None:
        """Report every key that is not in ``allowed``."""
        allowed = sorted(allowed)
        for key in sorted(self.keys.keys() - set(allowed)):
            self.report(key, f"unknown key{why}; allowed: {', '.join(allowed)}")

    def text(
        self, key: str, shape: re.Pattern[str], wanted: str, default: str | None = None
    ) -> str:
        """A string of the given shape. default None: the key is required."""
        value = self.keys.get(key, default)
        if value is None:
            self.report(key, f"missing; it must be {wanted}")
        elif not isinstance(value, str) or (value != default and not shape.fullmatch(value)):
            self.report(key, f"{_shown(value)} is not allowed; it must be {wanted}")
        else:
            return value
        return default or ""

    def header(self, key: str) -> str:
        return self.text(key, HEADER, "the name of a header, such as X-Signature")

    def choice(self, key: str, allowed: Iterable[str], default: str | None = None) -> str:
        allowed = list(allowed)
        shape = re.compile("|".join(map(re.escape, allowed)))
        return self.text(key, shape, "one of " + ", ".join(allowed), default)

    def number(
        self,
        key: str,
        kind: type[int] | type[float],
        low: float,
        high: float,
        default: float | None = None,
    ) -> float:
        value: Any = self.keys.get(key, default)
        right = isinstance(value, (int, kind)) and not isinstance(value, bool)
        if right and low <= value <= high:  # a NaN fails this too
            return float(value) if kind is float else int(value)
        noun = "a whole number" if kind is int else "a number"
        wrong = "missing" if value is None else f"{_shown(value)} is not allowed"
        self.report(key, f"{wrong}; it must be {noun} from {low:g} to {high:g}")
        return low

    def flag(self, key: str) -> bool:
        value = self.keys.get(key, False)
        if not isinstance(value, bool):
            self.report(key, f"{_shown(value)} is not allowed; it must be true or false")
        return value is True

    def texts(self, key: str, required: bool, wanted: str) -> list[str]:
        value = self.keys.get(key)
        if value is None and not required:
            return []
        if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
            return value
        wrong = "missing" if value is None else f"{_shown(value)} is not allowed"
        self.report(key, f"{wrong}; it must be {wanted}")
        return []

    def pointer(self, key: str, text: Any) -> Pointer | None:
        try:
            if isinstance(text, str) and text:
                return Pointer.parse(text)
            problem = "it must be a JSON Pointer such as /result/status"
        except ValueError as error:
            problem = str(error)
        self.report(key, f"{_shown(text)} is not allowed; {problem}")
        return None

    def statuses(self, key: str) -> tuple[dict[str, Status], frozenset[str]]:
        """The map from the courier's statuses to the canonical ones, and its ignored statuses. The
        value "canonical" is for a courier that sends canonical statuses."""
        value = self.keys.get(key)
        canonical = {status.value: status for status in Status}
        if value == "canonical":
            return canonical, frozenset()
        if not isinstance(value, dict) or not value:
            wrong = "missing" if value is None else f"{_shown(value)} is not allowed"
            self.report(
                key,
                f"{wrong}; it must be a table from the courier's statuses to canonical ones, "
                'or "canonical"',
            )
            return {}, frozenset()
        found: dict[str, Status] = {}
        ignored: set[str] = set()
        for theirs, status in value.items():
            if status == IGNORED:
                ignored.add(theirs)
            elif isinstance(status, str) and status in canonical:
                found[theirs] = canonical[status]
            else:
                self.report(
                    f"{key}.{theirs}",
                    f"{_shown(status)} is not allowed; it must be one of "
                    + ", ".join([*canonical, IGNORED]),
                )
        return found, frozenset(ignored)


def _shown(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
