"""The JSON form of a behaviour, read strictly.

Invariant: a document is applied as a whole or not at all, and the error names every wrong value. A
misspelt name is an error, so that a test does not believe that the service fails when it does not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from routingsim.behaviour import Behaviour

HOUR_MS = 3_600_000


class BadBehaviour(Exception):
    """The document is rejected; ``str()`` names every wrong value."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must be. wanted: in words, for messages."""

    wanted: str
    accepts: Callable[[Any], bool]


def _whole(low: int, high: int) -> Rule:
    return Rule(
        f"a whole number from {low} to {high}",
        lambda value: type(value) is int and low <= value <= high,  # type(), because bool is an int
    )


def _or_null(rule: Rule) -> Rule:
    return Rule(f"null or {rule.wanted}", lambda value: value is None or rule.accepts(value))


_RATIO = Rule(
    "a number from 0 to 1",
    lambda value: type(value) in (int, float) and 0 <= value <= 1,  # NaN compares false
)

RULES: dict[str, Rule] = {
    "latency_ms": _whole(0, HOUR_MS),
    "jitter_ms": _whole(0, HOUR_MS),
    "fail_ratio": _RATIO,
    "fail_status": _whole(400, 599),
    "retry_after": _or_null(_whole(0, 86_400)),
    "fail_first": _whole(0, 1_000_000),
    "fail_first_ratio": _RATIO,
    "hang_ratio": _RATIO,
    "reset_ratio": _RATIO,
    "garbage_ratio": _RATIO,
    "outage": Rule("true or false", lambda value: type(value) is bool),
    "capacity": _or_null(_whole(1, 1_000_000)),
    "seed": _whole(-(2**63), 2**63 - 1),
}


def read_behaviour(document: bytes, defaults: Behaviour) -> Behaviour:
    """``defaults`` with the values that ``document`` names; raises ``BadBehaviour``."""
    try:
        named = json.loads(document, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        raise BadBehaviour("the body is not JSON") from None
    if not isinstance(named, dict):
        raise BadBehaviour("the body is not a JSON object")
    problems = [problem for name, value in named.items() if (problem := _problem(name, value))]
    if problems:
        raise BadBehaviour("; ".join(problems))
    return replace(defaults, **named)


def _problem(name: str, value: Any) -> str | None:
    rule = RULES.get(name)
    if rule is None:
        return f"{name!r} is unknown; the names are {', '.join(RULES)}"
    return None if rule.accepts(value) else f"{name} must be {rule.wanted}"


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise BadBehaviour(f"named twice: {', '.join(twice)}")
    return named
