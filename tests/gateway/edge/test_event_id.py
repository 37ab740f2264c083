"""Event ids: where they are read from, and which are rejected."""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.sources.json_pointer import Pointer
from conf.sources.model import Pointers, Signature, Source
from gateway.edge.event_id import NoEventId, event_id

WITH_ID = Source("a", Signature("body-hmac", "X"), (), Pointers(Pointer.parse("/e/id")), {})
WITHOUT_ID = Source("b", Signature("body-hmac", "X"), (), Pointers(), {})
BY_SCAN = Source(
    "c",
    Signature("body-hmac", "X"),
    (),
    Pointers(),
    {},
    (Pointer.parse("/number"), Pointer.parse("/scan/id"), Pointer.parse("/scan/at")),
)


def test_the_signed_id_takes_precedence() -> None:
    assert event_id(WITH_ID, "msg_1", {"e": {"id": "evt_1"}}, b"") == "msg_1"


def test_the_value_at_the_pointer_is_the_id() -> None:
    assert event_id(WITH_ID, None, {"e": {"id": "evt: 1/é"}}, b"") == "evt: 1/é"


@pytest.mark.parametrize("number", [0, 7, -7, 2**64 - 1])
def test_the_digits_of_a_whole_number_are_the_id(number: int) -> None:
    assert event_id(WITH_ID, None, {"e": {"id": number}}, b"") == str(number)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "neither a string nor a whole number"),
        (True, "neither"),
        (1.5, "neither"),
        (1.0, "neither"),
        ([], "neither"),
        ({}, "neither"),
        ("", "is empty"),
        ("  ", "is empty"),
        ("x" * 201, "more than 200"),
        ("a\nb", "cannot be printed"),
        ("a\x00", "cannot be printed"),
        ("\x7f", "cannot be printed"),
        ("a\u2028", "cannot be printed"),
        ("\udcff", "cannot be printed"),
        ("\u200b", "cannot be printed"),
    ],
)
def test_an_unusable_id_is_rejected_and_its_place_named(value: Any, message: str) -> None:
    with pytest.raises(NoEventId, match=r"the event id at /e/id") as caught:
        event_id(WITH_ID, None, {"e": {"id": value}}, b"")
    assert message in str(caught.value)


@pytest.mark.parametrize("document", [{}, {"e": []}, {"e": "x"}, {"e": {"ID": "x"}}])
def test_a_missing_id_is_rejected(document: dict[str, Any]) -> None:
    with pytest.raises(NoEventId, match="the event id at /e/id is missing"):
        event_id(WITH_ID, None, document, b"")


def test_200_characters_are_allowed() -> None:
    assert event_id(WITH_ID, None, {"e": {"id": "é" * 200}}, b"") == "é" * 200


@pytest.mark.parametrize("signed", ["", "x" * 201, "a\tb", "\udcff"])
def test_an_unusable_signed_id_is_rejected(signed: str) -> None:
    with pytest.raises(NoEventId, match="the event id in a header"):
        event_id(WITH_ID, signed, {"e": {"id": "evt_1"}}, b"")


def test_without_any_id_the_body_identifies_the_event() -> None:
    assert event_id(WITHOUT_ID, None, {}, b"{}") == hashlib.sha256(b"{}").hexdigest()
    assert event_id(WITHOUT_ID, None, {}, b"{} ") != event_id(WITHOUT_ID, None, {}, b"{}")


def test_the_fields_of_a_scan_identify_it_regardless_of_the_rest_of_the_body() -> None:
    scan = {"number": "N1", "scan": {"id": "s1", "at": None}}
    first = event_id(BY_SCAN, None, scan | {"sent": 1}, b"first")
    assert event_id(BY_SCAN, None, scan | {"sent": 2}, b"again") == first
    assert first == hashlib.sha256(b'["N1","s1",null]').hexdigest()


@pytest.mark.parametrize(
    "other",
    [
        {"number": "N2", "scan": {"id": "s1"}},
        {"number": "N1", "scan": {"id": "s2"}},
        {"number": "N1", "scan": {"at": "s1"}},
        {"number": "N1s1"},
        {"number": ["N1", "s1"]},
    ],
)
def test_another_scan_is_another_event(other: dict[str, Any]) -> None:
    this = event_id(BY_SCAN, None, {"number": "N1", "scan": {"id": "s1"}}, b"")
    assert event_id(BY_SCAN, None, other, orjson.dumps(other)) != this


def test_a_field_that_is_missing_is_the_same_as_one_that_is_null() -> None:
    absent = event_id(BY_SCAN, None, {"number": "N1"}, b"")
    assert event_id(BY_SCAN, None, {"number": "N1", "scan": {"id": None}}, b"") == absent


def test_objects_among_the_fields_count_by_content_and_not_by_order() -> None:
    one = b'{"number":{"a":1,"b":2}}'
    two = b'{"number":{"b":2,"a":1}}'
    assert len({event_id(BY_SCAN, None, orjson.loads(body), body) for body in (one, two)}) == 1


def test_an_event_with_none_of_the_identifying_fields_is_rejected() -> None:
    with pytest.raises(NoEventId, match="/number, /scan/id, /scan/at"):
        event_id(BY_SCAN, None, {"number": None, "scan": 1}, b"")


def by_scan(number: str) -> str:
    body = b'{"number":%b}' % number.encode()
    return event_id(BY_SCAN, None, orjson.loads(body), body)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("18446744073709551616", "18446744073709551617"),
        ("0.1", "0.10000000000000000001"),
        ("-9223372036854775809", "-9223372036854775810"),
        ("1.5", '"1.5"'),
        ("[1e300]", "[1e-300]"),
        ("9400111899223817512345", "9400111899223817512346"),
        ('{"a":18446744073709551616}', '{"a":18446744073709551617}'),
    ],
)
def test_numbers_that_a_parser_rounds_still_distinguish_scans(one: str, two: str) -> None:
    assert by_scan(one) != by_scan(two)
    assert by_scan(one) == by_scan(f" {one} ")


@pytest.mark.parametrize("levels", [300, 1000])
def test_a_field_that_is_nested_too_deeply_to_compare_is_rejected(levels: int) -> None:
    with pytest.raises(NoEventId):
        by_scan("[" * levels + "]" * levels)


# From Unicode's own tables: characters without a shape, and letters and marks named as invisible.
SHAPELESS = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
NAMED = re.compile(
    "(HANGUL|KHITAN).*FILLER|VARIATION SELECTOR|BRAILLE PATTERN BLANK|"
    "VOWEL INHERENT|GRAPHEME JOINER|NULL NOTEHEAD|NO-BREAK SPACE"
)
HIDDEN = [
    character
    for character in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(character) in SHAPELESS or NAMED.search(unicodedata.name(character, ""))
]


def test_an_id_with_an_invisible_character_is_rejected() -> None:
    assert len(HIDDEN) > 900_000
    let_pass = []
    for character in HIDDEN:
        with suppress(NoEventId):
            let_pass.append(event_id(WITH_ID, None, {"e": {"id": f"evt{character}"}}, b""))
    assert [ascii(id) for id in let_pass] == []


@given(st.text(max_size=250))
def test_an_accepted_id_is_unchanged_and_fits_on_one_line(value: str) -> None:
    with suppress(NoEventId):
        taken = event_id(WITH_ID, None, {"e": {"id": value}}, b"")
        assert taken == value
        assert 0 < len(taken) <= 200
        assert taken.isprintable()
