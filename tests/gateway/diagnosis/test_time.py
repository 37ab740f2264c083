"""The signed time compared with the clock."""

from __future__ import annotations

import pytest

from tests.gateway.diagnosis.examples import AT, BODY, Diagnosis
from tests.support.couriers import COURIERS


@pytest.mark.parametrize("preset", ["standard-webhooks", "svix", "stripe", "shippo"])
@pytest.mark.parametrize(
    ("off", "side", "clock"),
    [
        (1200, "before", "courier's clock is behind"),
        (-1200, "after", "courier's clock is ahead"),
    ],
)
def test_a_skewed_clock_is_reported_in_seconds_with_its_direction(
    diagnosis: Diagnosis, preset: str, off: int, side: str, clock: str
) -> None:
    headers = COURIERS[preset].signed(BODY, "evt_1", AT)
    right, time = diagnosis.faults(preset, headers, now=AT + off)
    assert right == "the signature is right (key, body and encoding fit)"
    assert f"skewed by 1200 s: signed at 2026-11-24T06:00:00Z, 1200 s {side} " in time
    assert "tolerance 300 s either way" in time
    assert clock in time
    assert f"--now {AT}" in time


def test_a_time_in_milliseconds_is_recognised(diagnosis: Diagnosis) -> None:
    headers = COURIERS["svix"].signed(BODY, "evt_1", AT) | {"svix-timestamp": f"{AT}000"}
    assert any("Is it in milliseconds" in line for line in diagnosis.faults("svix", headers))


def test_a_wrong_key_and_a_wrong_clock_are_both_reported(diagnosis: Diagnosis) -> None:
    headers = COURIERS["stripe"].signed(BODY, "evt_1", AT)
    diagnosis.environ["STRIPE_SECRET"] = "rotated"  # Shippo's is still what this one was
    key, time = diagnosis.faults("stripe", headers, now=AT + 400)
    assert "the secret of source shippo" in key
    assert "skewed by 400 s" in time
