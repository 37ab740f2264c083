"""Signed bodies of every kind: the edge answers 400 or stores the exact bytes; from these a worker
makes a canonical event or a dead letter with a reason."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from redis import Redis

from conf.sources.loader import load_sources
from tests.support.edge import STANDARD_SECRET, Edge, event, standard_headers
from tests.support.servers import ROOT, RedisServer
from workers.canonical_event import to_canonical
from workers.errors import Malformed

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
SOURCES = load_sources(ROOT / "conf" / "sources.toml", {}, "local")


@pytest.fixture
def edge(single_worker_edge: Edge) -> Edge:
    return single_worker_edge


@pytest.fixture
def raw_store(http_redis: RedisServer) -> Iterator[Redis]:
    """A client of the emptied Redis that returns bytes."""
    client = Redis.from_url(http_redis.url, protocol=2)
    client.flushall()
    yield client
    client.close()


def held(store: Redis) -> dict[str, bytes]:
    """The bodies in Redis by event id."""
    prefix = "{gw:0}:body:"
    found: dict[str, bytes] = {}
    for key in store.scan_iter(prefix + "*"):
        value: Any = store.get(key)
        found[key.decode().removeprefix(prefix)] = value
    return found


def nested(levels: int) -> bytes:
    return b'{"id":"evt_1","a":' + b"[" * levels + b"]" * levels + b"}"


FAITHFUL = {
    "as deep as the parser goes": nested(1000),
    "blanks and line ends": b' {\r\n\t"id" : "evt_1" }\n ',
    "the last of two ids": b'{"id":"evt_0","id":"evt_1"}',
    "a name that is escaped": b'{"\\u0069d":"\\u0065vt_1"}',
    "numbers beyond 64 bits": b'{"id":"evt_1","n":[18446744073709551616,1e300,-1E-400,1.50]}',
    "a digit too many": b'{"id":"evt_1","n":0.1000000000000000055511151231257827021181583404541}',
    "text beyond the base plane": b'{"id":"evt_1","t":"\\ud83d\\ude00 \xf0\x9f\x98\x80"}',
    "NUL outside of the id": b'{"id":"evt_1","t":"\\u0000"}',
    "escape sequences outside of the id": b'{"id":"evt_1","shipment_id":"\\u001b[2J"}',
    "fields of the wrong types": b'{"id":"evt_1","shipment_id":[],"status":{},"occurred_at":1e9}',
    "a status too deep to print": b'{"id":"evt_1","shipment_id":"S","status":'
    + b"[" * 1000
    + b"]" * 1000
    + b"}",
    "a time too deep to print": b'{"id":"evt_1","shipment_id":"S","status":"delayed",'
    b'"occurred_at":' + b"[" * 1000 + b"]" * 1000 + b"}",
    "an invalid time": b'{"id":"evt_1","shipment_id":"S","status":"delayed",'
    b'"occurred_at":"9999-12-31T23:59:59-23:59"}',
    "nothing but the id": b'{"id":"evt_1"}',
}


@pytest.mark.parametrize("body", FAITHFUL.values(), ids=FAITHFUL.keys())
def test_unusual_json_is_stored_byte_for_byte_and_never_breaks_a_worker(
    edge: Edge, raw_store: Redis, body: bytes
) -> None:
    assert edge.post(body).status == 202
    assert held(raw_store) == {"bench:evt_1": body}
    with pytest.raises(Malformed) as caught:
        to_canonical("bench:evt_1", SOURCES["bench"], held(raw_store)["bench:evt_1"], NOW)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


def test_edge_and_worker_read_the_same_value_of_a_duplicate_key(
    edge: Edge, raw_store: Redis
) -> None:
    body = (
        b'{"id":"evt_0","status":"teleported","shipment_id":"SHP-0",'
        b'"id":"evt_1","status":"delayed","shipment_id":"SHP-1"}'
    )
    assert edge.post(body).json["id"] == "bench:evt_1"
    found = to_canonical("bench:evt_1", SOURCES["bench"], held(raw_store)["bench:evt_1"], NOW)
    assert (found.shipment_id, found.status.value) == ("SHP-1", "delayed")


NO_JSON = {
    "nothing": b"",
    "blanks": b" \r\n\t ",
    "NUL": b"\0",
    "BOM": b"\xef\xbb\xbf" + event("evt_1"),
    "UTF-16": event("evt_1").decode().encode("utf-16"),
    "NUL before": b"\0" + event("evt_1"),
    "NUL after": event("evt_1") + b"\0",
    "garbage after": event("evt_1") + b"}",
    "two documents": event("evt_1") * 2,
    "too deep": nested(1030),
    "half": event("evt_1")[:-1],
    "only brackets": b"[" * 200_000,
    "only braces": b'{"a":' * 50_000,
    "lone surrogate": b'{"id":"evt_1","t":"\\ud800"}',
    "surrogates the wrong way": b'{"id":"evt_1","t":"\\ude00\\ud83d"}',
    "a surrogate in UTF-8": b'{"id":"evt_1","t":"\xed\xa0\x80"}',
    "overlong UTF-8": b'{"id":"evt_1","t":"\xc0\xae"}',
    "Latin-1": b'{"id":"evt_1","t":"\xe9"}',
    "NaN": b'{"id":"evt_1","n":NaN}',
    "Infinity": b'{"id":"evt_1","n":-Infinity}',
    "too large a number": b'{"id":"evt_1","n":1e400}',
    "leading zero": b'{"id":"evt_1","n":01}',
    "a very long number": b'{"id":"evt_1","n":' + b"9" * 5000 + b"}",
    "single quotes": b"{'id':'evt_1'}",
    "comma": b'{"id":"evt_1",}',
    "comment": b'{"id":1}//',
    "control character": b'{"id":"evt_1","t":"\n"}',
    "form feed": b'\f{"id":"evt_1"}',
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON.keys())
def test_400_for_a_body_that_is_not_json(edge: Edge, raw_store: Redis, body: bytes) -> None:
    reply = edge.post(body)
    assert (reply.status, reply.problem) == (400, "not-json")
    assert held(raw_store) == {}


@pytest.mark.parametrize(
    "body", [b"[]", b'["evt_1"]', b'[{"id":"evt_1"}]', b'"evt_1"', b"1", b"1.5", b"true", b"null"]
)
def test_400_for_json_that_is_not_an_object(edge: Edge, raw_store: Redis, body: bytes) -> None:
    reply = edge.post(body)
    assert (reply.status, reply.problem) == (400, "not-an-object")
    assert held(raw_store) == {}


NO_ID: list[object] = [
    None,
    True,
    False,
    1.5,
    1.0,
    [],
    ["evt_1"],
    {},
    {"id": "evt_1"},
    "",
    " ",
    "   ",
    "x" * 201,
    "x" * 10_000,
    "é" * 201,
    "evt\0",
    "evt\n",
    "\tevt",
    "evt\x7f",
    "evt\x9b",
    "evt\u00a0x",
    "evt\u00ad",
    "evt\u200b",
    "evt\u200d",
    "evt\u202e",
    "evt\u2066",
    "evt\u2028",
    "evt\ufeff",
    "evt\ue000",
    "evt\u0378",
    "evt\ufffe",
    "evt\U000e0041",
    "evt\u3164",
    "evt\u2800",
    "evt\u115f",
    "evt\ufe0f",
    "evt\u034f",
    "evt\U000e0100",
]


@pytest.mark.parametrize("id", NO_ID, ids=lambda id: ascii(id)[:40])
def test_400_for_an_id_that_is_not_readable(edge: Edge, raw_store: Redis, id: object) -> None:
    reply = edge.post(orjson.dumps({"id": id}))
    assert (reply.status, reply.problem) == (400, "no-event-id")
    assert "/id" in reply.json["detail"]
    assert held(raw_store) == {}


@pytest.mark.parametrize(
    "number", [b"18446744073709551616", b"-9223372036854775809", b"1" + b"0" * 200, b"1e2", b"-0.0"]
)
def test_400_for_a_numeric_id_that_cannot_be_read_exactly(
    edge: Edge, raw_store: Redis, number: bytes
) -> None:
    reply = edge.post(b'{"id":%b}' % number)
    assert (reply.status, reply.problem) == (400, "no-event-id")
    assert held(raw_store) == {}


@pytest.mark.parametrize(
    "id",
    [
        "x" * 200,
        "é" * 200,
        "\U00010348" * 200,
        "evt 1",
        "evt/1?a=b#c%00",
        '{"$gt":""}',
        "evt:1:2",
        "-1",
        "*",
        "e\u0301",
        "中文",
        "👍",
        "عربي",
    ],
    ids=lambda id: ascii(id)[:40],
)
def test_a_printable_id_identifies_its_event_everywhere(
    edge: Edge, raw_store: Redis, id: str
) -> None:
    body = orjson.dumps({"id": id})
    reply = edge.post(body)
    assert (reply.status, reply.json["id"]) == (202, f"bench:{id}")
    assert held(raw_store) == {f"bench:{id}": body}
    assert edge.post(body).status == 200


@pytest.mark.parametrize(
    ("id", "status"),
    [
        ("m" * 200, 202),
        ("m" * 201, 400),
        ("m\x7f", 400),
        ("m\xa0", 400),
        ("m\xc3\xa9", 202),
        ("m\xe9", 400),
        ("m\xe2\x80\xae", 400),
        ("m\xe3\x85\xa4", 400),
        ("m\xff", 400),
    ],
    ids=ascii,
)
def test_the_same_rules_apply_to_a_signed_id(
    edge: Edge, raw_store: Redis, id: str, status: int
) -> None:
    """WSGI passes its bytes as Latin-1; the signature covers the bytes, the id is read as UTF-8."""
    body = event("in the body")
    signed = standard_headers(body, "x")
    given = id.encode("latin-1")
    signed |= _signature(given, signed["webhook-timestamp"], body) | {"webhook-id": id}
    reply = edge.request("POST", "/v1/events/standard", body, signed)
    assert reply.status == status
    stored = {f"standard:{given.decode('utf-8')}": body} if status == 202 else {}
    assert held(raw_store) == stored


def _signature(id: bytes, timestamp: str, body: bytes) -> dict[str, str]:
    content = id + b"." + timestamp.encode() + b"." + body
    mac = hmac.digest(STANDARD_SECRET, content, hashlib.sha256)
    return {"webhook-signature": "v1," + base64.b64encode(mac).decode()}


@pytest.mark.parametrize("filler", [b"x", b"\\u0000", "é".encode(), b"[]"])
def test_a_body_of_exactly_the_limit_is_stored_and_one_byte_more_is_413(
    edge: Edge, raw_store: Redis, filler: bytes
) -> None:
    limit = 262_144
    begin, end = b'{"id":"evt_1","t":"', b'"}'
    room = limit - len(begin) - len(end)
    times, rest = divmod(room, len(filler))
    exact = begin + filler * times + b"x" * rest + end
    assert len(exact) == limit
    assert edge.post(exact).status == 202
    assert held(raw_store) == {"bench:evt_1": exact}
    reply = edge.post(exact.replace(b"evt_1", b"evt_12"))
    assert (reply.status, reply.problem) == (413, "too-large")
