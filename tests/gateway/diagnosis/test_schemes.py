"""Another signature scheme than the source's, and secrets sent as tokens."""

from __future__ import annotations

import pytest

from tests.gateway.diagnosis.examples import AT, BODY, OLD, Diagnosis
from tests.support import couriers
from tests.support.couriers import COURIERS, SECRET, variable


@pytest.mark.parametrize(
    ("source", "signer", "expected"),
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
    diagnosis: Diagnosis, source: str, signer: str, expected: str
) -> None:
    diagnosis.environ[variable(source)] = COURIERS[signer].secret
    diagnosis.path.write_text(
        couriers.SOURCES.replace('preset = "svix"', 'preset = "svix"\nsecret_format = "text"')
        if source == "svix"
        else couriers.SOURCES.replace(
            'preset = "github"', 'preset = "github"\nsecret_format = "whsec"'
        )
        if signer == "standard-webhooks"
        else couriers.SOURCES,
        "utf-8",
    )
    line = diagnosis.faults(source, COURIERS[signer].signed(BODY, "evt_1", AT))[0]
    assert line.startswith("wrong scheme: ")
    assert expected in line


def test_svix_names_on_a_standard_webhooks_source_are_recognised(diagnosis: Diagnosis) -> None:
    lines = diagnosis.faults("standard-webhooks", COURIERS["svix"].signed(BODY, "evt_1", AT))
    assert "the signature is in the header svix-signature, as preset svix does" in lines[0]


def test_a_time_signed_under_the_sources_own_header_is_a_wrong_scheme(diagnosis: Diagnosis) -> None:
    (text,) = COURIERS["stripe"].signed(BODY, "evt_1", AT).values()
    (line,) = diagnosis.faults("github", {"X-Hub-Signature-256": text})
    assert 'set preset = "stripe" and signature_header = "X-Hub-Signature-256"' in line


def test_a_secret_sent_as_a_token_is_recognised(diagnosis: Diagnosis) -> None:
    diagnosis.environ["GITHUB_SECRET"] = OLD
    for text in (OLD, f"Bearer {OLD}"):
        (line,) = diagnosis.faults("github", {"Authorization": text})
        assert "the header Authorization contains the secret GITHUB_SECRET itself" in line


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Push-Token": "Bearer a static token"}, "wrong prefix: a word and a space precede"),
        ({"X-Other": "a static token"}, "the token is in the header X-Other"),
        ({"X-Push-Token": "another"}, "the token matches none of the known keys"),
        ({"X-Push-Token": SECRET.encode().decode("latin-1")}, "the secret of source"),
        ({}, "the header X-Push-Token is missing"),
    ],
)
def test_a_rejected_token_is_explained(
    diagnosis: Diagnosis, headers: dict[str, str], expected: str
) -> None:
    (line,) = diagnosis.faults("dhl-push", headers)
    assert expected in line
