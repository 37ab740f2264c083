"""Keys that are not live, and secrets that the courier reads in another way."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from tests.gateway.diagnosis.examples import AT, BODY, OLD, Diagnosis, sha256
from tests.support import couriers
from tests.support.couriers import SECRET, WHSEC


def test_the_published_demo_secret_is_recognised(diagnosis: Diagnosis) -> None:
    diagnosis.path.write_text(
        couriers.SOURCES.replace(
            '["GITHUB_SECRET"]', '["GITHUB_SECRET"]\ndemo_secret = "a published secret"'
        ),
        "utf-8",
    )
    (line,) = diagnosis.faults("github", sha256("a published secret"))
    assert "signed with the published demo secret, which is not live here" in line


@pytest.mark.parametrize(
    ("variable", "tried"), [("GITHUB_SECRET_2025", ()), ("OF_LAST_YEAR", ("OF_LAST_YEAR",))]
)
def test_a_retired_key_is_named_by_its_variable(
    diagnosis: Diagnosis, variable: str, tried: tuple[str, ...]
) -> None:
    diagnosis.environ[variable] = OLD
    (line,) = diagnosis.faults("github", sha256(OLD), tried=tried)
    assert f"signed with {variable}, which is not live (not in secrets_env): a retired key" in line


def test_a_variable_with_an_unrelated_name_is_not_tried(diagnosis: Diagnosis) -> None:
    diagnosis.environ["OF_LAST_YEAR"] = OLD
    (line,) = diagnosis.faults("github", sha256(OLD))
    assert "no known key made it" in line
    assert "Tried: GITHUB_SECRET" in line


def test_the_secret_of_another_source_is_recognised(diagnosis: Diagnosis) -> None:
    diagnosis.environ["SENDCLOUD_SECRET"] = OLD
    (line,) = diagnosis.faults("github", sha256(OLD))
    assert "signed with SENDCLOUD_SECRET, the secret of source sendcloud" in line


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (f" {OLD}\n", OLD, "without the white space around it: remove it from the variable"),
        (f'"{OLD}"', OLD, "without the quotes around it"),
        (OLD, f"{OLD}\n", "with a line break at its end"),
        (SECRET, couriers.DECOMPOSED, 'set secret_format = "nfkd" (now "text")'),
    ],
)
def test_a_secret_that_is_read_in_another_way_is_recognised(
    diagnosis: Diagnosis, ours: str, theirs: str, expected: str
) -> None:
    diagnosis.environ["GITHUB_SECRET"] = ours
    (line,) = diagnosis.faults("github", sha256(theirs))
    assert expected in line


def test_a_whsec_secret_that_is_not_decoded_is_recognised_on_either_side(
    diagnosis: Diagnosis,
) -> None:
    text = hmac.digest(WHSEC.encode(), f"evt_1.{AT}.".encode() + BODY, hashlib.sha256)
    line, _ = diagnosis.faults(
        "svix",
        {
            "svix-id": "evt_1",
            "svix-timestamp": str(AT),
            "svix-signature": "v1," + base64.b64encode(text).decode(),
        },
    )
    assert 'as it is, without decoding or normalising it: set secret_format = "text"' in line
    diagnosis.environ["GITHUB_SECRET"] = WHSEC
    decoded = base64.b64decode(WHSEC.removeprefix("whsec_"))
    made = hmac.digest(decoded, BODY, hashlib.sha256).hex()
    (line,) = diagnosis.faults("github", {"X-Hub-Signature-256": "sha256=" + made})
    assert "the courier decodes the base64 of GITHUB_SECRET" in line
    assert 'set secret_format = "whsec"' in line
