"""The request around the signature: method, path, length, raw text, arbitrary content."""

from __future__ import annotations

import base64
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.diagnosis.candidates import find_macs
from gateway.diagnosis.captured_request import Captured, NotARequest, header, parse
from tests.gateway.diagnosis.examples import BODY, Diagnosis, sha256
from tests.support import couriers


def test_a_rejection_before_the_signature_is_checked_is_explained(
    diagnosis: Diagnosis,
) -> None:
    json_type = {"Content-Type": "application/json"}
    for headers, method, status in (
        (json_type, "PUT", 405),
        ({"Content-Type": "text/plain"}, "POST", 415),
        (json_type | {"Transfer-Encoding": "chunked"}, "POST", 411),
        (json_type | {"Content-Length": "9"}, "POST", 400),
        (json_type | {"Content-Length": "99999"}, "POST", 400),
        (json_type | {"Content-Length": "9999999"}, "POST", 413),
    ):
        body = BODY[:9] if headers.get("Content-Length") == "9" else BODY
        found = diagnosis.explain(
            "github", headers | sha256(body=body), method=method, target="/v1/events/github"
        )
        assert found.status == status, found
        assert found.lines
    assert "fewer than its Content-Length" in "\n".join(diagnosis.printed)
    assert f"{len(BODY) - 9} bytes beyond the Content-Length are ignored" in "\n".join(
        diagnosis.printed
    )


def test_another_path_is_reported_and_a_source_without_a_secret_is_off(
    diagnosis: Diagnosis,
) -> None:
    found = diagnosis.explain(
        "github",
        sha256() | {"Content-Type": "application/json"},
        method="POST",
        target="/v1/events/gitlab?key=hunter2",
    )
    assert "another path than POST /v1/events/github" in found.lines[0]
    assert "hunter2" not in found.lines[0]
    found = diagnosis.explain(
        "github",
        sha256() | {"Content-Type": "application/json"},
        method="POST",
        target="https://edge.example/v1/events/github?key=1",
    )
    assert found.good
    assert "another path" not in found.lines[0]
    diagnosis.path.write_text(
        couriers.SOURCES.replace('["GITHUB_SECRET"]', '["GITHUB_SECRET"]\noptional = true'), "utf-8"
    )
    del diagnosis.environ["GITHUB_SECRET"]
    found = diagnosis.explain("github", sha256())
    assert (found.status, "the source is off" in found.lines[0]) == (404, True)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_raw_http_text_is_read_with_either_line_ending(end: str) -> None:
    raw = end.join(["POST /v1/events/a HTTP/1.1", "Host: x", "X-S:  b ", "X-S: c", "", ""])
    captured = parse(raw.encode() + b"\n{}\r\n\r\n")
    assert (captured.method, captured.target) == ("POST", "/v1/events/a")
    assert captured.header("x-s") == "b,c"
    assert captured.body == b"\n{}\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"POST /\n\n",
        b"POST / HTTP/1.1\nno header\n\n",
        b"POST / HTTP/1.1\na b: c\n\n",
        b"\x16\x03\x01\x00",
    ],
)
def test_a_text_that_is_not_a_request_is_rejected_without_being_shown(raw: bytes) -> None:
    with pytest.raises(NotARequest, match="it must be like"):
        parse(raw)


@settings(deadline=None, max_examples=60)
@given(
    source=st.sampled_from(["svix", "stripe", "fedex", "dhl-push"]),
    texts=st.lists(st.text(st.characters(max_codepoint=255), max_size=90), min_size=6, max_size=6),
    body=st.binary(max_size=60),
    now=st.integers(-(10**13), 10**13),
)
def test_any_captured_request_is_explained(
    source: str, texts: list[str], body: bytes, now: int
) -> None:
    names = (
        "svix-signature",
        "svix-id",
        "svix-timestamp",
        "Stripe-Signature",
        "fdx-signature",
        "X-Push-Token",
    )
    with TemporaryDirectory() as folder:
        found = Diagnosis(Path(folder)).explain(source, zip(names, texts, strict=True), body, now)
    assert (found.status, found.good) == (401, False)
    assert len(found.lines) > 1


def test_macs_are_found_in_every_notation_and_other_text_is_not_taken_for_one() -> None:
    digest = bytes(range(32))
    captured = Captured(
        [
            header("A: v1," + base64.b64encode(digest).decode() + " v1,x"),
            header("B: t=5,v1=" + digest.hex()),
            header("C: " + "0" * 63),
            header("D: application/json"),
        ],
        b"",
    )
    assert [(w.header, w.prefix, w.encoding, w.mac) for w in find_macs(captured)] == [
        ("A", "v1,", "base64", digest),
        ("B", "v1=", "hex", digest),
    ]
