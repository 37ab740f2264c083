"""The fixture of all tests of the diagnosis: it checks that no secret is ever printed."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.gateway.diagnosis.examples import BODY, OLD, Diagnosis
from tests.support import couriers
from tests.support.couriers import SECRET, WHSEC, hmac_sha256


@pytest.fixture
def diagnosis(tmp_path: Path) -> Iterable[Diagnosis]:
    """After the test: no printed line contains a secret, a signature, or a part of one."""
    diagnosis = Diagnosis(tmp_path)
    yield diagnosis
    printed = "\n".join(diagnosis.printed)
    for secret in (*diagnosis.environ.values(), WHSEC.removeprefix("whsec_"), couriers.DECOMPOSED):
        assert secret not in printed
    for secret in (SECRET, OLD):
        mac = hmac_sha256(secret, BODY)
        assert mac.hex()[:12] not in printed
        assert base64.b64encode(mac).decode()[:12] not in printed
