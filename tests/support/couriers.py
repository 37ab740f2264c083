"""Independent signers: the couriers' own client libraries, or the openssl command.

This module uses none of the product's code, so that one bug cannot be on both sides of a test.
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import standardwebhooks
import stripe
from svix.webhooks import Webhook

Headers = dict[str, str]
Sign = Callable[[bytes, str, int], Headers]  # (body, event id, seconds since 1970)

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET = "a courier's secr\u00e9t"  # composed; EasyPost signs with the decomposed form
DECOMPOSED = "a courier's secre\u0301t"

OUR_SHAPE = """pointers = { %sshipment_id = "/shipment_id", status = "/status" }
statuses = "canonical"
"""
WITH_ID = OUR_SHAPE % 'event_id = "/id", '
WITHOUT_ID = OUR_SHAPE % ""


def hmac_sha256(secret: str, content: bytes) -> bytes:
    """HMAC-SHA256, computed by openssl."""
    key = secret.encode().hex()
    return subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"],
        input=content,
        capture_output=True,
        check=True,
    ).stdout


def in_hex(header: str, prefix: str = "", secret: str = SECRET) -> Sign:
    return lambda body, id, at: {header: prefix + hmac_sha256(secret, body).hex()}


def in_base64(header: str) -> Sign:
    return lambda body, id, at: {header: base64.b64encode(hmac_sha256(SECRET, body)).decode()}


def by_standardwebhooks(body: bytes, id: str, at: int) -> Headers:
    mac = standardwebhooks.Webhook(WHSEC).sign(id, datetime.fromtimestamp(at, UTC), body.decode())
    return {"webhook-id": id, "webhook-timestamp": str(at), "webhook-signature": mac}


def by_svix(body: bytes, id: str, at: int) -> Headers:
    mac = Webhook(WHSEC).sign(id, datetime.fromtimestamp(at, UTC), body.decode())
    return {"svix-id": id, "svix-timestamp": str(at), "svix-signature": mac}


def by_stripe(header: str) -> Sign:
    make = stripe.WebhookSignature.generate_signature_header
    return lambda body, id, at: {header: make(body.decode(), SECRET, at)}


def by_shiphero(body: bytes, id: str, at: int) -> Headers:
    return in_base64("x-shiphero-hmac-sha256")(body, id, at) | {"X-Shiphero-Message-ID": id}


def our_document(id: str, shipment: str) -> Any:
    return {"id": id, "shipment_id": shipment, "status": "in_transit"}


def easypost(id: str, shipment: str) -> Any:
    return {
        "id": id,
        "object": "Event",
        "description": "tracker.updated",
        "mode": "production",
        "previous_attributes": {"status": "pre_transit"},
        "result": {
            "id": "trk_5f1c",
            "object": "Tracker",
            "tracking_code": shipment,
            "status": "in_transit",
            "status_detail": "departed_facility",
            "carrier": "UPS",
            "updated_at": "2026-11-23T05:00:00Z",
            "tracking_details": [],
        },
    }


def shippo(id: str, shipment: str) -> Any:
    return {
        "event": "track_updated",
        "test": False,
        "data": {
            "carrier": "usps",
            "tracking_number": shipment,
            "tracking_history": [],
            "tracking_status": {
                "object_id": id,
                "status": "TRANSIT",
                "status_details": "Left the facility \u2013 on its way",
                "status_date": "2026-11-23T05:00:00Z",
            },
        },
    }


def aftership(id: str, shipment: str) -> Any:
    return {
        "event": "tracking_update",
        "event_id": id,
        "is_tracking_first_tag": False,
        "msg": {
            "id": "a3f1",
            "tracking_number": shipment,
            "slug": "dhl",
            "tag": "InTransit",
            "subtag": "InTransit_002",
            "updated_at": "2026-11-23T05:00:00+00:00",
        },
        "ts": 1795410000,
    }


@dataclass(frozen=True)
class Courier:
    """table: the keys of its table in addition to preset and secrets_env. names_events: whether it
    sends an event id, which ``document`` or ``sign`` inserts."""

    sign: Sign
    document: Callable[[str, str], Any] = our_document
    table: str = WITH_ID
    secret: str = SECRET
    names_events: bool = True

    def body(self, id: str, shipment: str = "SHP-1") -> bytes:
        return json.dumps(self.document(id, shipment)).encode()

    def signed(self, body: bytes, id: str, at: int | None = None) -> Headers:
        return self.sign(body, id, int(time.time()) if at is None else at)


COURIERS = {
    "standard-webhooks": Courier(by_standardwebhooks, table=WITHOUT_ID, secret=WHSEC),
    "svix": Courier(by_svix, table=WITHOUT_ID, secret=WHSEC),
    "stripe": Courier(by_stripe("Stripe-Signature")),
    "shippo": Courier(by_stripe("Shippo-Auth-Signature"), shippo, "", names_events=False),
    "github": Courier(in_hex("X-Hub-Signature-256", "sha256=")),
    "flexport": Courier(in_hex("X-Hub-Signature-256", "sha256=")),
    "shopify": Courier(in_base64("X-Shopify-Hmac-SHA256")),
    "aftership": Courier(in_base64("aftership-hmac-sha256"), aftership, ""),
    "easypost": Courier(in_hex("X-Hmac-Signature", "hmac-sha256-hex=", DECOMPOSED), easypost, ""),
    "shiphero": Courier(by_shiphero, table=WITHOUT_ID),
    "sendcloud": Courier(in_hex("Sendcloud-Signature")),
    "fedex": Courier(in_base64("fdx-signature")),
    "dhl-push": Courier(
        lambda body, id, at: {"X-Push-Token": "a static token"},
        secret="a static token",
        table='signature_header = "X-Push-Token"\nauthenticity = "token-only"\n' + WITH_ID,
    ),
}


def variable(preset: str) -> str:
    return preset.upper().replace("-", "_") + "_SECRET"


SECRETS = {variable(preset): courier.secret for preset, courier in COURIERS.items()}
SOURCES = "\n".join(
    f'[{preset}]\npreset = "{preset}"\nsecrets_env = ["{variable(preset)}"]\n{courier.table}'
    for preset, courier in COURIERS.items()
)
