"""Every preset against an independent signer, and the payloads of known couriers."""

from __future__ import annotations

import base64
import json
import re
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import stripe
from svix.webhooks import Webhook

from conf.sources.loader import SourcesError, load_sources
from conf.sources.model import Secret, Source, Sources
from conf.sources.presets import PRESETS
from conf.sources.statuses import Status
from gateway.courier.payload import payload
from gateway.courier.signing import sign
from gateway.edge.event_id import NoEventId, event_id
from gateway.edge.signatures import Reason, Verification, prepare
from tests.support import couriers
from tests.support.couriers import COURIERS, SECRETS, WHSEC, Courier, Headers, hmac_sha256

AT = 1795500000
BODY = b'{"id":"evt_1","note":"\xc3\xa9t\xc3\xa9"}'


def load(folder: Path, text: str = couriers.SOURCES, **more: str) -> Sources:
    path = folder / "sources.toml"
    path.write_text(text, "utf-8")
    return load_sources(path, SECRETS | more, "production")


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return load(tmp_path)


def ask(source: Source, headers: Headers, body: bytes, now: float = AT) -> Verification:
    environ = {"HTTP_" + name.upper().replace("-", "_"): text for name, text in headers.items()}
    return prepare(source).verify(environ.get, body, now)


each = pytest.mark.parametrize(("preset", "courier"), COURIERS.items(), ids=COURIERS)


def test_every_preset_has_an_independent_signer() -> None:
    assert set(tomllib.loads(PRESETS.read_text("utf-8"))) == set(COURIERS)


@each
def test_what_the_courier_signs_is_authentic(
    sources: Sources, preset: str, courier: Courier
) -> None:
    verification = ask(sources[preset], courier.signed(BODY, "evt_1", AT), BODY)
    assert (verification.reason, verification.secret) == (None, couriers.variable(preset))
    assert verification.event_id == ("evt_1" if sources[preset].signature.id_header else None)


@each
def test_a_changed_body_is_rejected_where_bodies_are_signed(
    sources: Sources, preset: str, courier: Courier
) -> None:
    verification = ask(sources[preset], courier.signed(BODY, "evt_1", AT), BODY + b" ")
    assert verification.reason is (None if preset == "dhl-push" else Reason.MISMATCH)


@each
def test_each_header_of_the_signature_is_required(
    sources: Sources, preset: str, courier: Courier
) -> None:
    headers = courier.signed(BODY, "evt_1", AT)
    for name in headers:
        rest = {other: text for other, text in headers.items() if other != name}
        if name == "X-Shiphero-Message-ID":
            with pytest.raises(NoEventId, match="X-Shiphero-Message-ID is missing"):
                event_id(sources[preset], ask(sources[preset], rest, BODY).event_id, {}, BODY)
        else:
            assert ask(sources[preset], rest, BODY).reason in (
                Reason.MISSING,
                Reason.ID_MISSING,
                Reason.TIMESTAMP_MISSING,
            )


@pytest.mark.parametrize("preset", ["standard-webhooks", "svix", "stripe", "shippo"])
def test_a_signed_time_is_valid_for_five_minutes_before_and_after(
    sources: Sources, preset: str
) -> None:
    headers = COURIERS[preset].signed(BODY, "evt_1", AT)
    reasons = [
        ask(sources[preset], headers, BODY, AT + off).reason for off in (-301, -300, 300, 301)
    ]
    late = Reason.TIMESTAMP_OUTSIDE_TOLERANCE
    assert reasons == [late, None, None, late]


@each
def test_our_courier_code_signs_like_the_courier(
    sources: Sources, preset: str, courier: Courier
) -> None:
    """``send`` and the load test sign; here the edge verifies their signatures and the courier's
    own."""
    headers = sign(sources[preset], "evt_1", BODY, AT)
    if preset == "fedex":  # it accepts both encodings
        assert headers == {"fdx-signature": hmac_sha256(couriers.SECRET, BODY).hex()}
    else:
        assert headers == courier.signed(BODY, "evt_1", AT)


def test_the_client_libraries_verify_our_signatures(sources: Sources) -> None:
    now = time.time()
    headers = {
        preset: sign(sources[preset], "evt_1", BODY, now)
        for preset in ("standard-webhooks", "svix", "stripe", "shippo")
    }
    assert standardwebhooks.Webhook(WHSEC).verify(BODY, headers["standard-webhooks"])
    Webhook(WHSEC).verify(BODY, headers["svix"])
    for preset in ("stripe", "shippo"):
        (header,) = headers[preset].values()
        assert stripe.WebhookSignature.verify_header(BODY, header, couriers.SECRET, tolerance=300)


def test_fedex_may_send_hex_or_base64(sources: Sources) -> None:
    mac = hmac_sha256(couriers.SECRET, BODY)
    for text in (mac.hex(), mac.hex().upper(), base64.b64encode(mac).decode()):
        assert ask(sources["fedex"], {"fdx-signature": text}, BODY).ok


def test_sendclouds_published_example_is_authentic(sources: Sources) -> None:
    mac = "1eed4b3d41f4653ac64fd56f1bf1cbfd349e4482cbc11dff7134bd93e5da4b0a"
    source = Source(
        "sendcloud",
        sources["sendcloud"].signature,
        (Secret("KEY", b"secretkey"),),
        sources["sendcloud"].pointers,
        {},
    )
    assert ask(source, {"Sendcloud-Signature": mac}, b'{"key": "value"}').ok


def test_flexports_older_sha1_signature_is_rejected(sources: Sources) -> None:
    assert (
        ask(sources["flexport"], {"X-Hub-Signature": "sha1=" + "0" * 40}, BODY).reason
        is Reason.MISSING
    )


def test_a_static_token_is_accepted_only_if_the_table_allows_it_and_the_start_warns_of_it(
    tmp_path: Path,
) -> None:
    assert load(tmp_path).warnings == ("dhl-push: token-only: its events are not signed",)
    table = couriers.SOURCES.replace('authenticity = "token-only"\n', "")
    with pytest.raises(SourcesError, match=r'dhl-push\] authenticity: must be "token-only"'):
        load(tmp_path, table)
    table = couriers.SOURCES.replace('signature_header = "X-Push-Token"\n', "")
    with pytest.raises(SourcesError, match=r"dhl-push\] signature_header: missing"):
        load(tmp_path, table)


# ---- payloads

S = Status
WORDS: dict[str, dict[str, Status | None]] = {  # None: ignored
    "easypost": {
        "pre_transit": S.LABEL_CREATED,
        "in_transit": S.IN_TRANSIT,
        "unknown": None,
        "out_for_delivery": S.OUT_FOR_DELIVERY,
        "available_for_pickup": S.OUT_FOR_DELIVERY,
        "delivered": S.DELIVERED,
        "return_to_sender": S.RETURNED,
        "failure": S.DELIVERY_FAILED,
        "error": S.EXCEPTION,
        "cancelled": S.CANCELLED,
    },
    "shippo": {
        "PRE_TRANSIT": S.LABEL_CREATED,
        "TRANSIT": S.IN_TRANSIT,
        "DELIVERED": S.DELIVERED,
        "RETURNED": S.RETURNED,
        "FAILURE": S.DELIVERY_FAILED,
        "UNKNOWN": None,
    },
    "aftership": {
        "InfoReceived": S.LABEL_CREATED,
        "InTransit": S.IN_TRANSIT,
        "OutForDelivery": S.OUT_FOR_DELIVERY,
        "AttemptFail": S.DELIVERY_FAILED,
        "Delivered": S.DELIVERED,
        "AvailableForPickup": S.OUT_FOR_DELIVERY,
        "Exception": S.EXCEPTION,
        "Expired": S.EXCEPTION,
        "Pending": None,
    },
}


@pytest.mark.parametrize("preset", WORDS)
def test_every_documented_status_of_a_known_courier_is_mapped_or_ignored(
    sources: Sources, preset: str
) -> None:
    source = sources[preset]
    assert {word: source.status(word) for word in WORDS[preset]} == WORDS[preset]
    assert {word for word in WORDS[preset] if source.ignores(word)} == source.ignored
    assert source.statuses.keys() | source.ignored == WORDS[preset].keys()


@pytest.mark.parametrize("preset", WORDS)
def test_a_known_courier_needs_three_lines(sources: Sources, tmp_path: Path, preset: str) -> None:
    table = f'[parcels]\npreset = "{preset}"\nsecrets_env = ["ITS_SECRET"]\n'
    source = load(tmp_path, table, ITS_SECRET="x")["parcels"]
    document = COURIERS[preset].document("evt_7", "TRACK-7")
    p = source.pointers
    assert p.shipment_id is not None
    assert p.status is not None
    assert p.occurred_at is not None
    assert p.shipment_id.resolve(document) == "TRACK-7"
    assert source.status(p.status.resolve(document)) is Status.IN_TRANSIT
    assert str(p.occurred_at.resolve(document)).startswith("2026-11-23T05:00:00")


@pytest.mark.parametrize("preset", ["easypost", "aftership"])
def test_the_event_id_is_the_one_that_the_courier_sends(sources: Sources, preset: str) -> None:
    document = COURIERS[preset].document("evt_7", "TRACK-7")
    assert event_id(sources[preset], None, document, b"") == "evt_7"


def scan(**changes: Any) -> Any:
    """A scan of Shippo. None removes a field."""
    document = couriers.shippo("scan_1", "TRACK-1")
    status = document["data"]["tracking_status"]
    for name, value in changes.items():
        place = document["data"] if name == "tracking_number" else status
        place[name] = value
        if value is None:
            del place[name]
    return document


def test_a_shippo_scan_is_identified_by_its_fields_because_shippo_sends_no_event_id(
    sources: Sources,
) -> None:
    def named(document: Any) -> str:
        return event_id(sources["shippo"], None, document, json.dumps(document).encode())

    again = scan(status_details="the same scan in other words")
    again["data"]["eta"] = "2026-11-25T00:00:00Z"
    assert named(again) == named(scan())
    others = [
        scan(tracking_number="TRACK-2"),
        scan(object_id="scan_2"),
        scan(status="DELIVERED"),
        scan(status_date="2026-11-23T06:00:00Z"),
        scan(object_id=None),
        scan(object_id=None, status="DELIVERED"),
        scan(object_id=None, status_date="2026-11-23T06:00:00Z"),
    ]
    assert len({named(document) for document in [scan(), *others]}) == 1 + len(others)
    with pytest.raises(NoEventId):
        named({"event": "track_updated", "data": {}})


def test_a_payload_has_the_couriers_fields_and_statuses(tmp_path: Path) -> None:
    text = (
        TABLE % "sendcloud" + 'dedup_fields = ["/parcels/0/id", "/parcels/0/scan", "/sent"]\n'
        'pointers = { shipment_id = "/parcels/0/id", status = "/parcels/0/at/0" }\n'
        'statuses = { "*" = "delivered", "11" = "delivered" }\n'
    )
    source = load(tmp_path, text, A_SECRET="x")["a"]
    made = json.loads(payload(source, "evt_1", "SHP-1", Status.DELIVERED, datetime.now(UTC)))
    assert made == {"parcels": [{"id": "SHP-1", "at": ["11"], "scan": "evt_1"}], "sent": "evt_1"}
    with pytest.raises(ValueError, match="has no name for status delayed"):
        payload(source, "evt_1", "SHP-1", Status.DELAYED, datetime.now(UTC))


def test_the_tables_in_the_document_on_sources_are_valid(tmp_path: Path) -> None:
    page = (PRESETS.parents[1] / "docs" / "sources.md").read_text("utf-8")
    shown = "\n".join(re.findall(r"```toml\n(.*?)```", page, re.DOTALL))
    secrets = dict.fromkeys(re.findall(r"[A-Z]+_(?:SECRET|TOKEN)\b", shown), "x")
    sources = load(tmp_path, shown, **secrets)
    assert list(sources) == ["easypost", "shippo", "aftership", "shopify", "dhl"]
    assert all(source.enabled for source in sources.values())
    rows = re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \|", page, re.MULTILINE)
    assert set(re.findall("[a-z-]+", " ".join(rows))) >= set(COURIERS)


# ---- what a table may change

TABLE = '[a]\npreset = "%s"\nsecrets_env = ["A_SECRET"]\n'


@pytest.mark.parametrize(
    ("preset", "own"),
    [
        ("shiphero", couriers.WITH_ID),
        ("shippo", 'pointers.event_id = "/id"\n'),
        ("easypost", 'dedup_fields = ["/id"]\n'),
        ("aftership", 'id_header = "X-Event"\n'),
    ],
)
def test_a_table_that_names_an_event_id_removes_the_presets_one(
    tmp_path: Path, preset: str, own: str
) -> None:
    source = load(tmp_path, TABLE % preset + own, A_SECRET="x")["a"]
    ways = (
        bool(source.signature.id_header),
        bool(source.pointers.event_id),
        bool(source.dedup_fields),
    )
    assert ways == ("id_header" in own, "event_id" in own, "dedup_fields" in own)
    assert source.pointers.status is not None


def test_an_id_header_and_an_id_pointer_in_one_table_are_rejected(tmp_path: Path) -> None:
    table = TABLE % "github" + 'id_header = "X-GitHub-Delivery"\n' + couriers.WITH_ID
    with pytest.raises(SourcesError, match=r"pointers\.event_id: the X-GitHub-Delivery is"):
        load(tmp_path, table, A_SECRET="x")


@pytest.mark.parametrize(
    ("statuses", "status", "ignored"),
    [
        ('{ "*" = "ignored", "11" = "delivered" }', Status.DELIVERED, False),
        ('{ "*" = "in_transit", "11" = "ignored" }', None, True),
        ('{ "*" = "delivered" }', Status.DELIVERED, False),
    ],
)
def test_a_star_matches_all_statuses_that_are_not_in_the_map_and_numbers_are_statuses_too(
    tmp_path: Path, statuses: str, status: Status | None, ignored: bool
) -> None:
    table = TABLE % "sendcloud" + couriers.WITH_ID.replace('"canonical"', statuses)
    source = load(tmp_path, table, A_SECRET="x")["a"]
    assert (source.status(11), source.ignores(11)) == (status, ignored)
    assert source.status("new") or source.ignores("new")
    odd: list[Any] = [None, True, 1.5, ["11"], {}]
    for no_word in odd:
        assert source.status(no_word) is None
        assert not source.ignores(no_word)
