"""A body that was changed between signing and capture."""

from __future__ import annotations

import json

import pytest

from gateway.diagnosis.candidates import body_variants
from tests.gateway.diagnosis.examples import AT, BODY, DOCUMENT, Diagnosis, sha256
from tests.support.couriers import COURIERS


@pytest.mark.parametrize(
    ("signed", "expected"),
    [
        (json.dumps(DOCUMENT).encode(), "a space after each comma and colon, non-ASCII escaped"),
        (json.dumps(DOCUMENT, ensure_ascii=False).encode(), "comma and colon, non-ASCII as it is"),
        (json.dumps(DOCUMENT, separators=(",", ":")).encode(), "compact JSON, non-ASCII escaped"),
        (json.dumps(DOCUMENT, indent=2).encode(), "indented by two"),
        (json.dumps(DOCUMENT, indent=4, sort_keys=True).encode(), "indented by four, keys sorted"),
        (
            json.dumps(DOCUMENT, separators=(",", ":")).replace("/", "\\/").encode(),
            "slashes escaped",
        ),
        (json.dumps(DOCUMENT).encode() + b"\n", "with a line break at its end"),
        (BODY + b"\n", "the same with a line break at its end"),
        (b"\xef\xbb\xbf" + BODY, "with a byte order mark"),
        (b"", "an empty body"),
    ],
)
def test_a_body_serialised_again_is_recognised_by_what_was_signed(
    diagnosis: Diagnosis, signed: bytes, expected: str
) -> None:
    (line,) = diagnosis.faults("github", sha256(body=signed))
    assert "the right key (GITHUB_SECRET) signed" in line
    assert expected in line


@pytest.mark.parametrize(
    ("captured", "expected"),
    [
        (BODY + b"\r\n", "without the line break at its end"),
        (b"\n " + BODY + b" \n", "without white space around it"),
        (b"\xef\xbb\xbf" + BODY, "without the byte order mark"),
        (json.dumps(DOCUMENT, indent=2).encode(), "compact JSON, non-ASCII as it is"),
    ],
)
def test_an_edit_that_a_capture_adds_to_a_body_is_recognised(
    diagnosis: Diagnosis, captured: bytes, expected: str
) -> None:
    (line,) = diagnosis.faults("github", sha256(), captured)
    assert expected in line


@pytest.mark.parametrize("preset", ["standard-webhooks", "stripe", "shopify"])
def test_a_rewritten_body_is_recognised_in_every_scheme(diagnosis: Diagnosis, preset: str) -> None:
    headers = COURIERS[preset].signed(BODY, "evt_1", AT)
    line = diagnosis.faults(preset, headers, json.dumps(DOCUMENT).encode())[0]
    assert "signed the same as compact JSON, non-ASCII as it is" in line


def test_each_variant_of_a_body_is_made_once_and_invalid_json_yields_none() -> None:
    for body in (
        BODY,
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"a":' + b"9" * 5000 + b"}",
        b"NaN",
        b'{"a":"\\ud800"}',
    ):
        made = [data for _, data in body_variants(body)]
        assert len(made) == len(set(made))
        assert body not in made
