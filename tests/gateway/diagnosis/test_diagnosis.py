"""Why a captured request is refused: a sentence for each cause, and never a secret in one.

Signed by the couriers' own libraries or by openssl (tests/support/couriers.py).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.sources import presets
from conf.sources.loader import load_sources
from gateway.diagnosis.candidates import body_variants, candidate_keys, find_macs
from gateway.diagnosis.captured import Captured, NotARequest, header, parse
from gateway.diagnosis.explanation import Explanation, Inquiry, explain
from tests.support import couriers
from tests.support.couriers import COURIERS, SECRET, SECRETS, WHSEC, hmac_sha256, variable

AT = 1795500000
BODY = json.dumps(
    {"id": "evt_1", "shipment_id": "SHP-1", "status": "in_transit", "note": "caf\u00e9 / bar"},
    ensure_ascii=False,
    separators=(",", ":"),
).encode()
OLD = "an older secret"


class Desk:
    """Explains requests to sources of one file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "sources.toml"
        self.path.write_text(couriers.SOURCES, "utf-8")
        self.environ = dict(SECRETS)
        self.said: list[str] = []

    def ask(
        self,
        source: str,
        headers: Mapping[str, str] | Iterable[tuple[str, str]],
        body: bytes = BODY,
        now: float = AT,
        tried: Iterable[str] = (),
        method: str = "",
        target: str = "",
    ) -> Explanation:
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        sources = load_sources(self.path, self.environ, "production")
        candidates = candidate_keys(
            sources[source], presets.tables(self.path), self.environ, list(tried)
        )
        captured = Captured(pairs, body, method, target)
        found = explain(Inquiry(sources[source], captured, candidates, now, 262_144))
        self.said += found.lines
        return found

    def lines(
        self,
        source: str,
        headers: Mapping[str, str] | Iterable[tuple[str, str]],
        body: bytes = BODY,
        **more: object,
    ) -> list[str]:
        """What is said of a request that is refused as unauthentic, without the reason code."""
        found = self.ask(source, headers, body, **more)  # type: ignore[arg-type]
        assert (found.status, found.good) == (401, False), found
        assert found.lines[0].startswith("the edge logs reason=")
        return list(found.lines[1:])


@pytest.fixture
def desk(tmp_path: Path) -> Iterable[Desk]:
    """Afterwards, nothing that was said may hold a secret, a signature, or a part of one."""
    desk = Desk(tmp_path)
    yield desk
    said = "\n".join(desk.said)
    for secret in (*desk.environ.values(), WHSEC.removeprefix("whsec_"), couriers.DECOMPOSED):
        assert secret not in said
    for secret in (SECRET, OLD):
        mac = hmac_sha256(secret, BODY)
        assert mac.hex()[:12] not in said
        assert base64.b64encode(mac).decode()[:12] not in said


def mac(secret: str = SECRET, body: bytes = BODY) -> bytes:
    return hmac_sha256(secret, body)


def sha256(secret: str = SECRET, body: bytes = BODY) -> dict[str, str]:
    """As GitHub signs."""
    return {"X-Hub-Signature-256": "sha256=" + mac(secret, body).hex()}


# ---- what passes


@pytest.mark.parametrize("preset", COURIERS)
def test_a_right_request_passes_with_its_event_id_and_the_event_in_our_words(
    desk: Desk, preset: str
) -> None:
    courier = COURIERS[preset]
    body = courier.body("evt_7", "SHP-7")
    found = desk.ask(preset, courier.signed(body, "evt_7", AT), body)
    assert (found.status, found.good) == (202, True)
    text = "\n".join(found.lines)
    assert f"is right, by {variable(preset)}" in text
    assert f"event id: {preset}:" + ("evt_7 (" if courier.names_events else "") in text
    assert "event: shipment SHP-7, status in_transit, occurred at 2026-11-" in text
    assert ("token-only" in text) == (preset == "dhl-push")


def test_a_request_signed_with_the_previous_secret_passes_and_names_it(desk: Desk) -> None:
    text = couriers.SOURCES.replace('["GITHUB_SECRET"]', '["GITHUB_SECRET", "GITHUB_PREVIOUS"]')
    desk.path.write_text(text, "utf-8")
    desk.environ["GITHUB_PREVIOUS"] = OLD
    found = desk.ask("github", sha256(OLD))
    assert found.good
    assert "by GITHUB_PREVIOUS" in found.lines[0]
    assert "has not switched to GITHUB_SECRET yet" in found.lines[1]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "The body is not JSON"),
        (b"[]", 400, "object"),
        (b'{"shipment_id":"S"}', 400, "no usable event id: the event id at /id is missing"),
        (b'{"id":"1","shipment_id":"S","status":"lost"}', 202, "becomes a dead letter"),
        (b'{"id":"1","status":"delayed"}', 202, "no shipment id at /shipment_id"),
    ],
)
def test_a_rightly_signed_body_that_is_of_no_use_is_said_to_be(
    desk: Desk, body: bytes, status: int, said: str
) -> None:
    found = desk.ask("github", sha256(body=body), body)
    assert (found.status, found.good) == (status, False)
    assert said in found.lines[-1]


def test_an_ignored_status_passes_and_changes_nothing(desk: Desk) -> None:
    body = COURIERS["easypost"].body("evt_1").replace(b'"in_transit"', b'"unknown"')
    found = desk.ask("easypost", COURIERS["easypost"].signed(body, "evt_1"), body)
    assert found.good
    assert "'unknown' is ignored" in found.lines[-1]


# ---- time


@pytest.mark.parametrize("preset", ["standard-webhooks", "svix", "stripe", "shippo"])
@pytest.mark.parametrize(
    ("off", "side", "clock"),
    [
        (1200, "before", "courier's clock is behind"),
        (-1200, "after", "courier's clock is ahead"),
    ],
)
def test_a_skewed_clock_is_told_by_its_seconds_and_direction(
    desk: Desk, preset: str, off: int, side: str, clock: str
) -> None:
    headers = COURIERS[preset].signed(BODY, "evt_1", AT)
    right, time = desk.lines(preset, headers, now=AT + off)
    assert right == "the signature is right (key, body and encoding fit)"
    assert f"skewed by 1200 s: signed at 2026-11-24T06:00:00Z, 1200 s {side} " in time
    assert "tolerance 300 s either way" in time
    assert clock in time
    assert f"--now {AT}" in time


def test_a_time_in_milliseconds_is_recognised(desk: Desk) -> None:
    headers = COURIERS["svix"].signed(BODY, "evt_1", AT) | {"svix-timestamp": f"{AT}000"}
    assert any("Is it in milliseconds" in line for line in desk.lines("svix", headers))


def test_a_wrong_key_and_a_wrong_clock_are_both_said(desk: Desk) -> None:
    headers = COURIERS["stripe"].signed(BODY, "evt_1", AT)
    desk.environ["STRIPE_SECRET"] = "rotated"  # Shippo's is still what this one was
    key, time = desk.lines("stripe", headers, now=AT + 400)
    assert "the secret of source shippo" in key
    assert "skewed by 400 s" in time


# ---- the body

DOCUMENT = json.loads(BODY)


@pytest.mark.parametrize(
    ("signed", "said"),
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
def test_a_body_that_was_written_anew_is_recognised_by_the_way_it_was_signed(
    desk: Desk, signed: bytes, said: str
) -> None:
    (line,) = desk.lines("github", sha256(body=signed))
    assert "the right key (GITHUB_SECRET) signed" in line
    assert said in line


@pytest.mark.parametrize(
    ("captured", "said"),
    [
        (BODY + b"\r\n", "without the line break at its end"),
        (b"\n " + BODY + b" \n", "without white space around it"),
        (b"\xef\xbb\xbf" + BODY, "without the byte order mark"),
        (json.dumps(DOCUMENT, indent=2).encode(), "compact JSON, non-ASCII as it is"),
    ],
)
def test_what_a_capture_adds_to_a_body_is_recognised(
    desk: Desk, captured: bytes, said: str
) -> None:
    (line,) = desk.lines("github", sha256(), captured)
    assert said in line


@pytest.mark.parametrize("preset", ["standard-webhooks", "stripe", "shopify"])
def test_a_rewritten_body_is_recognised_in_every_scheme(desk: Desk, preset: str) -> None:
    headers = COURIERS[preset].signed(BODY, "evt_1", AT)
    line = desk.lines(preset, headers, json.dumps(DOCUMENT).encode())[0]
    assert "signed the same as compact JSON, non-ASCII as it is" in line


def test_each_variant_of_a_body_is_made_once_and_odd_bodies_are_no_trouble() -> None:
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


# ---- encoding, prefix, header


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            base64.b64encode(mac()).decode(),
            'written in base64, and this source expects hex: set encoding = "base64"',
        ),
        (base64.urlsafe_b64encode(mac()).decode(), "base64"),
        (base64.b64encode(mac()).decode().rstrip("="), "base64 without its padding"),
        (base64.b64encode(mac().hex().encode()).decode(), "base64 of the hex text"),
    ],
    ids=["base64", "base64url", "unpadded", "of the hex text"],
)
def test_a_wrong_encoding_is_named(desk: Desk, text: str, said: str) -> None:
    (line,) = desk.lines("github", {"X-Hub-Signature-256": "sha256=" + text})
    assert line.startswith("wrong encoding: ")
    assert said in line


def test_base64url_is_named_where_it_differs(desk: Desk) -> None:
    body = next(
        b
        for b in (BODY + b" " * n for n in range(99))
        if {"-", "_"} & set(base64.urlsafe_b64encode(mac(body=b)).decode())
    )
    text = base64.urlsafe_b64encode(mac(body=body)).decode()
    (line,) = desk.lines("shopify", {"X-Shopify-Hmac-SHA256": text}, body)
    assert "written in base64url, and this source expects base64, which no setting supports" in line


def test_hex_where_base64_is_expected_is_named(desk: Desk) -> None:
    (line,) = desk.lines("aftership", {"aftership-hmac-sha256": mac().hex()})
    assert 'written in hex, and this source expects base64: set encoding = "hex"' in line
    lines = desk.lines(
        "svix",
        {
            "svix-id": "evt_1",
            "svix-timestamp": str(AT),
            "svix-signature": "v1," + hmac_of_standard("evt_1").hex(),
        },
    )
    assert "written in hex, and this source expects base64" in lines[0]


def hmac_of_standard(id: str) -> bytes:
    key = base64.b64decode(WHSEC.removeprefix("whsec_"))
    return hmac.digest(key, f"{id}.{AT}.".encode() + BODY, hashlib.sha256)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (mac().hex(), 'nothing precedes the signature, and this source expects "sha256="'),
        ("sha256=sha256=" + mac().hex(), '"sha256=sha256=" precedes the signature'),
        ("hmac-sha256-hex=" + mac().hex(), 'set prefix = "hmac-sha256-hex="'),
        ("hunter2=" + mac().hex(), "something else (not shown) precedes the signature"),
        ("SHA256=" + mac().hex(), '"SHA256=" precedes the signature'),
    ],
    ids=["none", "twice", "another", "a secret", "in capitals"],
)
def test_a_wrong_prefix_is_named_but_what_may_be_a_secret_is_not_shown(
    desk: Desk, text: str, said: str
) -> None:
    (line,) = desk.lines("github", {"X-Hub-Signature-256": text})
    assert line.startswith("wrong prefix: ")
    assert said in line
    assert "hunter2" not in line


def test_a_request_that_was_signed_twice_is_recognised(desk: Desk) -> None:
    header = "X-Hub-Signature-256"
    twice = [(header, "sha256=" + mac().hex()), (header, "sha256=" + mac("proxy").hex())]
    (line,) = desk.lines("github", twice)
    assert "the header contains 2 signatures: it was signed or sent twice" in line


def test_a_signature_in_another_header_is_found(desk: Desk) -> None:
    (line,) = desk.lines("sendcloud", {"X-Signature": mac().hex()})
    assert (
        "the signature is in the header X-Signature, and this source reads "
        'Sendcloud-Signature: set signature_header = "X-Signature"'
    ) in line
    (line,) = desk.lines("sendcloud", {"aftership-hmac-sha256": mac().hex()})
    assert "as preset aftership does" in line


def test_a_missing_header_is_named(desk: Desk) -> None:
    (line,) = desk.lines("github", {"X-Request-Id": "5"})
    assert line == (
        "the header X-Hub-Signature-256 is missing; no other header contains what looks "
        "like a signature"
    )
    (line,) = desk.lines("github", {"X-Other": mac("stranger").hex()})
    assert "X-Other contains what looks like a signature, and no known key made it" in line
    headers = COURIERS["svix"].signed(BODY, "evt_1", AT)
    del headers["svix-id"]
    assert "the header svix-id is missing" in desk.lines("svix", headers)[0]
    headers = COURIERS["svix"].signed(BODY, "evt_1", AT)
    del headers["svix-timestamp"]
    assert desk.lines("svix", headers) == ["no signed time: svix-timestamp is missing"]


def test_what_is_no_signature_at_all_is_said_to_be_none(desk: Desk) -> None:
    (line,) = desk.lines("github", {"X-Hub-Signature-256": "sha256=abc"})
    assert "(10 characters) is not a signature in any known encoding" in line


def test_sha_1_is_recognised(desk: Desk) -> None:
    old = hmac.digest(SECRET.encode(), BODY, "sha1").hex()
    lines = desk.lines("flexport", {"X-Hub-Signature": f"sha1={old}"})
    assert "it is an HMAC-SHA1, and only SHA-256 is accepted" in lines[0]


# ---- keys


def test_the_published_demo_secret_is_recognised(desk: Desk) -> None:
    desk.path.write_text(
        couriers.SOURCES.replace(
            '["GITHUB_SECRET"]', '["GITHUB_SECRET"]\ndemo_secret = "for everybody"'
        ),
        "utf-8",
    )
    (line,) = desk.lines("github", sha256("for everybody"))
    assert "signed with the published demo secret, which is not live here" in line


@pytest.mark.parametrize(
    ("variable", "tried"), [("GITHUB_SECRET_2025", ()), ("OF_LAST_YEAR", ("OF_LAST_YEAR",))]
)
def test_a_retired_key_is_named_by_its_variable(
    desk: Desk, variable: str, tried: tuple[str, ...]
) -> None:
    desk.environ[variable] = OLD
    (line,) = desk.lines("github", sha256(OLD), tried=tried)
    assert f"signed with {variable}, which is not live (not in secrets_env): a retired key" in line


def test_a_variable_of_some_other_name_is_not_looked_at(desk: Desk) -> None:
    desk.environ["OF_LAST_YEAR"] = OLD
    (line,) = desk.lines("github", sha256(OLD))
    assert "no known key made it" in line
    assert "Tried: GITHUB_SECRET" in line


def test_the_secret_of_another_source_is_recognised(desk: Desk) -> None:
    desk.environ["SENDCLOUD_SECRET"] = OLD
    (line,) = desk.lines("github", sha256(OLD))
    assert "signed with SENDCLOUD_SECRET, the secret of source sendcloud" in line


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (f" {OLD}\n", OLD, "without the white space around it: remove it from the variable"),
        (f'"{OLD}"', OLD, "without the quotes around it"),
        (OLD, f"{OLD}\n", "with a line break at its end"),
        (SECRET, couriers.DECOMPOSED, 'set secret_format = "nfkd" (now "text")'),
    ],
)
def test_a_secret_that_is_read_in_another_way_is_recognised(
    desk: Desk, ours: str, theirs: str, said: str
) -> None:
    desk.environ["GITHUB_SECRET"] = ours
    (line,) = desk.lines("github", sha256(theirs))
    assert said in line


def test_a_whsec_secret_that_is_not_decoded_is_recognised_on_either_side(desk: Desk) -> None:
    text = hmac.digest(WHSEC.encode(), f"evt_1.{AT}.".encode() + BODY, hashlib.sha256)
    line, _ = desk.lines(
        "svix",
        {
            "svix-id": "evt_1",
            "svix-timestamp": str(AT),
            "svix-signature": "v1," + base64.b64encode(text).decode(),
        },
    )
    assert 'as it is, without decoding or normalising it: set secret_format = "text"' in line
    desk.environ["GITHUB_SECRET"] = WHSEC
    decoded = base64.b64decode(WHSEC.removeprefix("whsec_"))
    made = hmac.digest(decoded, BODY, hashlib.sha256).hex()
    (line,) = desk.lines("github", {"X-Hub-Signature-256": "sha256=" + made})
    assert "the courier decodes the base64 of GITHUB_SECRET" in line
    assert 'set secret_format = "whsec"' in line


# ---- schemes and tokens


@pytest.mark.parametrize(
    ("source", "signer", "said"),
    [
        (
            "github",
            "standard-webhooks",
            'as preset standard-webhooks does, and this source expects scheme "body-hmac"',
        ),
        (
            "github",
            "shippo",
            "signed over time and body in Shippo-Auth-Signature, as preset shippo",
        ),
        (
            "stripe",
            "sendcloud",
            "signed over the body alone in Sendcloud-Signature, as preset send",
        ),
        ("svix", "stripe", 'set preset = "stripe"'),
    ],
)
def test_a_wrong_scheme_is_named_with_the_preset_that_fits(
    desk: Desk, source: str, signer: str, said: str
) -> None:
    desk.environ[variable(source)] = COURIERS[signer].secret
    desk.path.write_text(
        couriers.SOURCES.replace('preset = "svix"', 'preset = "svix"\nsecret_format = "text"')
        if source == "svix"
        else couriers.SOURCES.replace(
            'preset = "github"', 'preset = "github"\nsecret_format = "whsec"'
        )
        if signer == "standard-webhooks"
        else couriers.SOURCES,
        "utf-8",
    )
    line = desk.lines(source, COURIERS[signer].signed(BODY, "evt_1", AT))[0]
    assert line.startswith("wrong scheme: ")
    assert said in line


def test_svix_names_on_a_standard_webhooks_source_are_recognised(desk: Desk) -> None:
    lines = desk.lines("standard-webhooks", COURIERS["svix"].signed(BODY, "evt_1", AT))
    assert "the signature is in the header svix-signature, as preset svix does" in lines[0]


def test_a_time_signed_under_the_sources_own_header_is_a_wrong_scheme(desk: Desk) -> None:
    (text,) = COURIERS["stripe"].signed(BODY, "evt_1", AT).values()
    (line,) = desk.lines("github", {"X-Hub-Signature-256": text})
    assert 'set preset = "stripe" and signature_header = "X-Hub-Signature-256"' in line


def test_a_secret_sent_as_a_token_is_recognised(desk: Desk) -> None:
    desk.environ["GITHUB_SECRET"] = OLD
    for text in (OLD, f"Bearer {OLD}"):
        (line,) = desk.lines("github", {"Authorization": text})
        assert "the header Authorization contains the secret GITHUB_SECRET itself" in line


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"X-Push-Token": "Bearer a static token"}, "wrong prefix: a word and a space precede"),
        ({"X-Other": "a static token"}, "the token is in the header X-Other"),
        ({"X-Push-Token": "another"}, "the token matches none of the known keys"),
        ({"X-Push-Token": SECRET.encode().decode("latin-1")}, "the secret of source"),
        ({}, "the header X-Push-Token is missing"),
    ],
)
def test_a_refused_token_is_explained(desk: Desk, headers: dict[str, str], said: str) -> None:
    (line,) = desk.lines("dhl-push", headers)
    assert said in line


# ---- the request around it


def test_a_request_that_the_edge_refuses_before_the_signature_says_why(desk: Desk) -> None:
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
        found = desk.ask(
            "github", headers | sha256(body=body), method=method, target="/v1/events/github"
        )
        assert found.status == status, found
        assert found.lines
    assert "fewer than its Content-Length" in "\n".join(desk.said)
    assert f"{len(BODY) - 9} bytes beyond the Content-Length are ignored" in "\n".join(desk.said)


def test_another_path_is_pointed_out_and_a_source_without_a_secret_is_off(desk: Desk) -> None:
    found = desk.ask(
        "github",
        sha256() | {"Content-Type": "application/json"},
        method="POST",
        target="/v1/events/gitlab?key=hunter2",
    )
    assert "another path than POST /v1/events/github" in found.lines[0]
    assert "hunter2" not in found.lines[0]
    found = desk.ask(
        "github",
        sha256() | {"Content-Type": "application/json"},
        method="POST",
        target="https://edge.example/v1/events/github?key=1",
    )
    assert found.good
    assert "another path" not in found.lines[0]
    desk.path.write_text(
        couriers.SOURCES.replace('["GITHUB_SECRET"]', '["GITHUB_SECRET"]\noptional = true'), "utf-8"
    )
    del desk.environ["GITHUB_SECRET"]
    found = desk.ask("github", sha256())
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
def test_what_is_no_request_is_refused_without_being_shown(raw: bytes) -> None:
    with pytest.raises(NotARequest, match="it must be like"):
        parse(raw)


@settings(deadline=None, max_examples=60)
@given(
    source=st.sampled_from(["svix", "stripe", "fedex", "dhl-push"]),
    texts=st.lists(st.text(st.characters(max_codepoint=255), max_size=90), min_size=6, max_size=6),
    body=st.binary(max_size=60),
    now=st.integers(-(10**13), 10**13),
)
def test_whatever_was_captured_is_explained(
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
        found = Desk(Path(folder)).ask(source, zip(names, texts, strict=True), body, now)
    assert (found.status, found.good) == (401, False)
    assert len(found.lines) > 1


def test_a_mac_is_found_in_every_spelling_and_nothing_else_is_one() -> None:
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
