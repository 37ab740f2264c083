"""Explains requests to the sources of one file.

The couriers' own libraries or openssl sign them (tests/support/couriers.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from conf.sources import presets
from conf.sources.loader import load_sources
from gateway.diagnosis.candidates import candidate_keys
from gateway.diagnosis.captured_request import Captured
from gateway.diagnosis.explanation import Explanation, Inquiry
from gateway.diagnosis.explanation import explain as explain_request
from tests.support import couriers
from tests.support.couriers import SECRET, SECRETS, hmac_sha256

AT = 1795500000
BODY = json.dumps(
    {"id": "evt_1", "shipment_id": "SHP-1", "status": "in_transit", "note": "caf\u00e9 / bar"},
    ensure_ascii=False,
    separators=(",", ":"),
).encode()
OLD = "an older secret"


DOCUMENT = json.loads(BODY)


class Diagnosis:
    """Explains requests to sources of one file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "sources.toml"
        self.path.write_text(couriers.SOURCES, "utf-8")
        self.environ = dict(SECRETS)
        self.printed: list[str] = []

    def explain(
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
        found = explain_request(Inquiry(sources[source], captured, candidates, now, 262_144))
        self.printed += found.lines
        return found

    def faults(
        self,
        source: str,
        headers: Mapping[str, str] | Iterable[tuple[str, str]],
        body: bytes = BODY,
        **more: object,
    ) -> list[str]:
        """The lines about a request that fails verification, without the reason code."""
        found = self.explain(source, headers, body, **more)  # type: ignore[arg-type]
        assert (found.status, found.good) == (401, False), found
        assert found.lines[0].startswith("the edge logs reason=")
        return list(found.lines[1:])


def mac(secret: str = SECRET, body: bytes = BODY) -> bytes:
    return hmac_sha256(secret, body)


def sha256(secret: str = SECRET, body: bytes = BODY) -> dict[str, str]:
    """As GitHub signs."""
    return {"X-Hub-Signature-256": "sha256=" + mac(secret, body).hex()}
