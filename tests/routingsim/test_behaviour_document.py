"""The JSON form of a behaviour is read strictly, and errors name every wrong value."""

from __future__ import annotations

import json
from dataclasses import asdict, fields

import pytest

from routingsim.behaviour import Behaviour
from routingsim.behaviour_document import RULES, BadBehaviour, read_behaviour

EVERYTHING = Behaviour(
    latency_ms=1,
    jitter_ms=2,
    fail_ratio=0.1,
    fail_status=429,
    retry_after=3,
    fail_first=4,
    fail_first_ratio=0.2,
    hang_ratio=0.3,
    reset_ratio=0.4,
    garbage_ratio=0.5,
    outage=True,
    capacity=6,
    seed=7,
)


def test_every_value_can_be_written_and_has_a_rule() -> None:
    assert list(RULES) == [field.name for field in fields(Behaviour)]
    written = json.dumps(asdict(EVERYTHING)).encode()
    assert read_behaviour(written, Behaviour()) == EVERYTHING


def test_a_document_from_get_can_be_put_back() -> None:
    shown = json.dumps(asdict(Behaviour())).encode()
    assert read_behaviour(shown, EVERYTHING) == Behaviour()


def test_what_is_not_named_goes_back_to_the_default() -> None:
    defaults = Behaviour(latency_ms=120)
    assert read_behaviour(b'{"fail_first": 2}', defaults) == Behaviour(latency_ms=120, fail_first=2)
    assert read_behaviour(b"{}", defaults) == defaults


def test_a_ratio_may_be_written_as_a_whole_number() -> None:
    assert read_behaviour(b'{"fail_ratio": 1}', Behaviour()).fail_ratio == 1


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("latency", "5"),
        ("latency_ms", "-1"),
        ("latency_ms", "3600001"),
        ("latency_ms", "1.5"),
        ("latency_ms", "true"),
        ("latency_ms", '"5"'),
        ("latency_ms", "null"),
        ("jitter_ms", "-1"),
        ("fail_ratio", "1.01"),
        ("fail_ratio", "-0.01"),
        ("fail_ratio", "true"),
        ("fail_ratio", "NaN"),
        ("fail_ratio", "1e999"),
        ("fail_status", "200"),
        ("fail_status", "600"),
        ("retry_after", "-1"),
        ("retry_after", "0.5"),
        ("fail_first", "-1"),
        ("fail_first_ratio", "2"),
        ("hang_ratio", "[]"),
        ("reset_ratio", "{}"),
        ("garbage_ratio", "null"),
        ("outage", "1"),
        ("outage", '"yes"'),
        ("capacity", "0"),
        ("seed", "0.5"),
        ("seed", "9223372036854775808"),
    ],
)
def test_a_wrong_value_is_rejected_by_name(name: str, written: str) -> None:
    with pytest.raises(BadBehaviour, match=rf"\b{name}\b"):
        read_behaviour(f'{{"{name}": {written}}}'.encode(), Behaviour())


def test_every_wrong_value_is_named_at_once() -> None:
    with pytest.raises(BadBehaviour, match=r"outage must .*; 'surprise' is unknown"):
        read_behaviour(b'{"outage": 1, "fail_first": 1, "surprise": 1}', Behaviour())


def test_a_name_given_twice_is_rejected() -> None:
    with pytest.raises(BadBehaviour, match="named twice: outage"):
        read_behaviour(b'{"outage": true, "outage": false}', Behaviour())


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000, b'{"seed": ' + b"1" * 5000 + b"}"],
    ids=["empty", "list", "null", "cut", "not-utf8", "deep", "long-number"],
)
def test_what_is_not_a_json_object_is_rejected(document: bytes) -> None:
    with pytest.raises(BadBehaviour, match="is not"):
        read_behaviour(document, Behaviour())
