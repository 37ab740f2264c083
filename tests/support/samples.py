"""Events, bodies and shipments for the tests of the workers."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import orjson

from conf.sources.loader import load_sources
from scheduler.events import Reserved
from scheduler.keys import LaneName
from tests.support.servers import ROOT
from workers.jobs import Job

SOURCES = load_sources(ROOT / "conf" / "sources.toml", {}, "local")
RECEIVED = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
EARLIER = "2026-11-23T05:00:00Z"


def body(
    shipment: str = "SHP-1", status: str = "delivery_failed", occurred_at: object = EARLIER
) -> bytes:
    """What a courier of the source ``bench`` posts."""
    return orjson.dumps(
        {"id": "evt_1", "shipment_id": shipment, "status": status, "occurred_at": occurred_at}
    )


def reserved(
    id: str = "bench:evt_1",
    *,
    fence: int = 100,
    lane: LaneName = "lookup",
    body: bytes = body(),
    attempts: int = 0,
    waits: int = 0,
    route: bytes = b"",
    age_seconds: float = 0,
    source: str = "bench",
) -> Reserved:
    """An event as ``Queue.reserve`` returns it. age_seconds: since it was accepted or replayed."""
    return Reserved(
        id=id,
        gen=str(fence),
        lane=lane,
        source=source,
        attempts=attempts,
        waits=waits,
        crashes=0,
        received_at_ms=int(RECEIVED.timestamp() * 1000),
        live_since_ms=int((time.time() - age_seconds) * 1000),
        route=route,
        body=body,
    )


def job(id: str = "bench:evt_1", **fields: Any) -> Job:
    """A job with the event that ``reserved`` makes of the same arguments."""
    return Job(reserved(id, **fields), started_seconds=0)


def shipment(id: str = "SHP-1", **changes: Any) -> dict[str, Any]:
    """A shipment as ``python -m gateway seed`` creates it."""
    return {
        "_id": id,
        "order_id": "ORD-1",
        "merchant_id": "MER-1",
        "courier": "bosta",
        "status": "label_created",
        "active": True,
        "last_event_at": None,
        "events_applied": 0,
        "recent_events": [],
        "route": None,
    } | changes
