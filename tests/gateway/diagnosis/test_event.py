"""A request whose signature is right: its event id and what the gateway reads from it."""

from __future__ import annotations

import pytest

from tests.gateway.diagnosis.examples import AT, OLD, Diagnosis, sha256
from tests.support import couriers
from tests.support.couriers import COURIERS, variable


@pytest.mark.parametrize("preset", COURIERS)
def test_a_valid_request_is_accepted_with_its_event_id_and_canonical_event(
    diagnosis: Diagnosis, preset: str
) -> None:
    courier = COURIERS[preset]
    body = courier.body("evt_7", "SHP-7")
    found = diagnosis.explain(preset, courier.signed(body, "evt_7", AT), body)
    assert (found.status, found.good) == (202, True)
    text = "\n".join(found.lines)
    assert f"is right, by {variable(preset)}" in text
    assert f"event id: {preset}:" + ("evt_7 (" if courier.names_events else "") in text
    assert "event: shipment SHP-7, status in_transit, occurred at 2026-11-" in text
    assert ("token-only" in text) == (preset == "dhl-push")


def test_a_request_signed_with_the_previous_secret_is_accepted_and_names_it(
    diagnosis: Diagnosis,
) -> None:
    text = couriers.SOURCES.replace('["GITHUB_SECRET"]', '["GITHUB_SECRET", "GITHUB_PREVIOUS"]')
    diagnosis.path.write_text(text, "utf-8")
    diagnosis.environ["GITHUB_PREVIOUS"] = OLD
    found = diagnosis.explain("github", sha256(OLD))
    assert found.good
    assert "by GITHUB_PREVIOUS" in found.lines[0]
    assert "has not switched to GITHUB_SECRET yet" in found.lines[1]


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"{", 400, "The body is not JSON"),
        (b"[]", 400, "object"),
        (b'{"shipment_id":"S"}', 400, "no usable event id: the event id at /id is missing"),
        (b'{"id":"1","shipment_id":"S","status":"lost"}', 202, "becomes a dead letter"),
        (b'{"id":"1","status":"delayed"}', 202, "no shipment id at /shipment_id"),
    ],
)
def test_a_correctly_signed_body_that_cannot_be_used_is_explained(
    diagnosis: Diagnosis, body: bytes, status: int, expected: str
) -> None:
    found = diagnosis.explain("github", sha256(body=body), body)
    assert (found.status, found.good) == (status, False)
    assert expected in found.lines[-1]


def test_an_ignored_status_is_accepted_and_changes_nothing(diagnosis: Diagnosis) -> None:
    body = COURIERS["easypost"].body("evt_1").replace(b'"in_transit"', b'"unknown"')
    found = diagnosis.explain("easypost", COURIERS["easypost"].signed(body, "evt_1"), body)
    assert found.good
    assert "'unknown' is ignored" in found.lines[-1]
