"""From a courier's payload to the canonical event."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.sources.statuses import Status
from tests.support.samples import RECEIVED, SOURCES, body
from workers.canonical_event import CanonicalEvent, to_canonical
from workers.errors import Malformed

AHEAD = timedelta(minutes=5)


def read(raw: bytes, received: datetime = RECEIVED, source: str = "bench") -> CanonicalEvent:
    return to_canonical("bench:evt_1", SOURCES[source], raw, received)


def occurred(text: object) -> datetime:
    return read(body(occurred_at=text)).occurred_at


def test_the_fields_are_found_where_the_source_says() -> None:
    found = read(body("SHP-7", "delayed", "2026-11-23T08:30:00+03:00"))
    assert found == CanonicalEvent(
        id="bench:evt_1",
        source="bench",
        shipment_id="SHP-7",
        status=Status.DELAYED,
        occurred_at=datetime(2026, 11, 23, 5, 30, tzinfo=UTC),
        received_at=RECEIVED,
    )


def test_a_courier_s_own_fields_and_statuses_are_mapped() -> None:
    raw = orjson.dumps(
        {
            "id": "evt_9",
            "result": {
                "tracking_code": "EZ1",
                "status": "failure",
                "updated_at": "2026-11-23T05:00:00Z",
            },
        }
    )
    found = read(raw, source="easypost")
    assert found.shipment_id == "EZ1"
    assert found.status is SOURCES["easypost"].statuses["failure"]


@pytest.mark.parametrize("missing", [{}, {"occurred_at": None}])
def test_without_a_time_the_time_of_receipt_counts(missing: dict[str, None]) -> None:
    raw = orjson.dumps({"shipment_id": "SHP-1", "status": "delayed", **missing})
    assert read(raw).occurred_at == RECEIVED


@given(
    st.datetimes(
        datetime(1970, 1, 1),
        datetime(9990, 1, 1),
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=-11))]),
    )
)
def test_no_time_is_later_than_five_minutes_after_receipt(moment: datetime) -> None:
    found = occurred(moment.isoformat())
    whole = moment.astimezone(UTC)
    whole = whole.replace(microsecond=whole.microsecond // 1000 * 1000)
    assert found == min(whole, RECEIVED + AHEAD)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-23T06:05:00Z", 300),
        ("2026-11-23T06:05:00.001Z", 300),
        ("2026-11-23T06:04:59.999Z", 299.999),
        ("9999-12-31T23:59:59.999999Z", 300),
    ],
)
def test_a_time_is_clamped_to_exactly_five_minutes_after_receipt(text: str, seconds: float) -> None:
    assert occurred(text) == RECEIVED + timedelta(seconds=seconds)


def test_a_time_without_an_offset_counts_as_utc() -> None:
    assert occurred("2026-11-23T05:00:00") == datetime(2026, 11, 23, 5, tzinfo=UTC)


def test_times_are_whole_milliseconds_as_in_mongodb() -> None:
    assert occurred("2026-11-23T05:00:00.123999Z").microsecond == 123_000
    assert read(body(), RECEIVED.replace(microsecond=5_999)).received_at.microsecond == 5_000


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "",
        "2026-13-01T00:00:00Z",
        1_790_000_000,
        True,
        ["2026"],
        "0001-01-01T00:00:00+10:00",
    ],
)
def test_a_time_that_cannot_be_read_is_malformed_and_the_message_names_the_field(
    text: object,
) -> None:
    with pytest.raises(Malformed, match="at /occurred_at is not ISO 8601"):
        occurred(text)


@pytest.mark.parametrize(
    "status", ["teleported", "", "DELIVERED", 5, True, ["delayed"], {"delayed": 1}]
)
def test_a_status_that_is_not_in_the_map_is_malformed(status: object) -> None:
    raw = orjson.dumps({"shipment_id": "SHP-1", "status": status})
    with pytest.raises(Malformed, match="not in the status map of source bench"):
        read(raw)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"status": "delayed"}, "no shipment id at /shipment_id"),
        ({"status": "delayed", "shipment_id": None}, "no shipment id"),
        ({"status": "delayed", "shipment_id": ""}, "not a string of 1 to 200"),
        ({"status": "delayed", "shipment_id": "x" * 201}, "not a string of 1 to 200"),
        ({"status": "delayed", "shipment_id": {"$gt": ""}}, "not a string of 1 to 200"),
        ({"status": "delayed", "shipment_id": "\x1b[2J"}, "of 1 to 200 printable characters"),
        ({"status": "delayed", "shipment_id": "SHP\n1"}, "printable"),
        ({"shipment_id": "SHP-1"}, "no status at /status"),
        ([], "no shipment id"),
        ("text", "no shipment id"),
    ],
)
def test_a_body_that_lacks_a_field_is_malformed(document: object, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        read(orjson.dumps(document))


@pytest.mark.parametrize("field", ["shipment_id", "status", "occurred_at"])
def test_a_value_nested_too_deeply_to_be_printed_is_malformed_and_not_an_internal_error(
    field: str,
) -> None:
    deep = b'{"x":' * 500 + b"[" * 500 + b"]" * 500 + b"}" * 500
    fields = {"shipment_id": b'"SHP-1"', "status": b'"delayed"', field: deep}
    raw = b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), value) for name, value in fields.items())
    with pytest.raises(Malformed, match=f"at /{field}"):
        read(raw)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"shipment_id": "\\ud800"}'])
def test_a_body_that_is_not_json_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed, match="body is not JSON"):
        read(raw)


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63)
        | st.floats()
        | st.text(max_size=5),
        lambda inner: (
            st.dictionaries(st.sampled_from(["shipment_id", "status", "occurred_at"]), inner)
            | st.lists(inner, max_size=3)
        ),
        max_leaves=6,
    ).map(orjson.dumps)
)
def test_any_signed_body_is_either_read_or_malformed(raw: bytes) -> None:
    with suppress(Malformed):
        assert read(raw).occurred_at <= RECEIVED + AHEAD
