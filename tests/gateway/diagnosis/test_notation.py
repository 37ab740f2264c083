"""How a header writes a signature: encoding, prefix, header name, number of signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from tests.gateway.diagnosis.examples import AT, BODY, Diagnosis, mac
from tests.support.couriers import COURIERS, SECRET, WHSEC


@pytest.mark.parametrize(
    ("text", "expected"),
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
def test_a_wrong_encoding_is_named(diagnosis: Diagnosis, text: str, expected: str) -> None:
    (line,) = diagnosis.faults("github", {"X-Hub-Signature-256": "sha256=" + text})
    assert line.startswith("wrong encoding: ")
    assert expected in line


def test_base64url_is_named_where_it_differs(diagnosis: Diagnosis) -> None:
    body = next(
        b
        for b in (BODY + b" " * n for n in range(99))
        if {"-", "_"} & set(base64.urlsafe_b64encode(mac(body=b)).decode())
    )
    text = base64.urlsafe_b64encode(mac(body=body)).decode()
    (line,) = diagnosis.faults("shopify", {"X-Shopify-Hmac-SHA256": text}, body)
    assert "written in base64url, and this source expects base64, which no setting supports" in line


def test_hex_where_base64_is_expected_is_named(diagnosis: Diagnosis) -> None:
    (line,) = diagnosis.faults("aftership", {"aftership-hmac-sha256": mac().hex()})
    assert 'written in hex, and this source expects base64: set encoding = "hex"' in line
    lines = diagnosis.faults(
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
    ("text", "expected"),
    [
        (mac().hex(), 'nothing precedes the signature, and this source expects "sha256="'),
        ("sha256=sha256=" + mac().hex(), '"sha256=sha256=" precedes the signature'),
        ("hmac-sha256-hex=" + mac().hex(), 'set prefix = "hmac-sha256-hex="'),
        ("hunter2=" + mac().hex(), "something else (not shown) precedes the signature"),
        ("SHA256=" + mac().hex(), '"SHA256=" precedes the signature'),
    ],
    ids=["none", "twice", "another", "a secret", "in capitals"],
)
def test_a_wrong_prefix_is_named_but_what_may_be_a_secret_is_hidden(
    diagnosis: Diagnosis, text: str, expected: str
) -> None:
    (line,) = diagnosis.faults("github", {"X-Hub-Signature-256": text})
    assert line.startswith("wrong prefix: ")
    assert expected in line
    assert "hunter2" not in line


def test_a_request_that_was_signed_twice_is_recognised(diagnosis: Diagnosis) -> None:
    header = "X-Hub-Signature-256"
    twice = [(header, "sha256=" + mac().hex()), (header, "sha256=" + mac("proxy").hex())]
    (line,) = diagnosis.faults("github", twice)
    assert "the header contains 2 signatures: it was signed or sent twice" in line


def test_a_signature_in_another_header_is_found(diagnosis: Diagnosis) -> None:
    (line,) = diagnosis.faults("sendcloud", {"X-Signature": mac().hex()})
    assert (
        "the signature is in the header X-Signature, and this source reads "
        'Sendcloud-Signature: set signature_header = "X-Signature"'
    ) in line
    (line,) = diagnosis.faults("sendcloud", {"aftership-hmac-sha256": mac().hex()})
    assert "as preset aftership does" in line


def test_a_missing_header_is_named(diagnosis: Diagnosis) -> None:
    (line,) = diagnosis.faults("github", {"X-Request-Id": "5"})
    assert line == (
        "the header X-Hub-Signature-256 is missing; no other header contains what looks "
        "like a signature"
    )
    (line,) = diagnosis.faults("github", {"X-Other": mac("stranger").hex()})
    assert "X-Other contains what looks like a signature, and no known key made it" in line
    headers = COURIERS["svix"].signed(BODY, "evt_1", AT)
    del headers["svix-id"]
    assert "the header svix-id is missing" in diagnosis.faults("svix", headers)[0]
    headers = COURIERS["svix"].signed(BODY, "evt_1", AT)
    del headers["svix-timestamp"]
    assert diagnosis.faults("svix", headers) == ["no signed time: svix-timestamp is missing"]


def test_a_text_that_is_not_a_signature_is_named_as_such(diagnosis: Diagnosis) -> None:
    (line,) = diagnosis.faults("github", {"X-Hub-Signature-256": "sha256=abc"})
    assert "(10 characters) is not a signature in any known encoding" in line


def test_sha_1_is_recognised(diagnosis: Diagnosis) -> None:
    old = hmac.digest(SECRET.encode(), BODY, "sha1").hex()
    lines = diagnosis.faults("flexport", {"X-Hub-Signature": f"sha1={old}"})
    assert "it is an HMAC-SHA1, and only SHA-256 is accepted" in lines[0]
