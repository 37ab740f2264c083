"""A bounded share of ``make fuzz``, and what hypothesis finds in the space of heads and bodies."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.fuzz import oracle
from tests.fuzz.__main__ import tell
from tests.fuzz.cases import KINDS, Case, make
from tests.fuzz.run import Bad, fuzz
from tests.support.edge import Edge, bench_headers, event, kinds
from tests.support.raw_http import Answer, Talk, talk
from tests.support.servers import RedisServer, redis_binaries

REQUESTS = 2_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    folder = tmp_path_factory.mktemp("redis")
    server = RedisServer(redis_binaries()[-1], folder, "--appendonly", "no").start()
    yield server
    server.stop()


@pytest.fixture(scope="module", params=kinds())
def edge(
    request: pytest.FixtureRequest, store: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Edge]:
    edge = Edge(
        tmp_path_factory.mktemp("edge"),
        store.url,
        request.param,
        WEB_CONCURRENCY="2",
        REDIS_TIMEOUT_SECONDS="10",
    )
    try:
        yield edge.start()
    finally:
        edge.stop()


def raw_client(store: RedisServer) -> Redis:
    return Redis.from_url(store.url, protocol=2)


def test_a_share_of_the_fuzzing_finds_nothing(edge: Edge, store: RedisServer) -> None:
    tally = fuzz(edge, raw_client(store), seed=1, numbers=range(REQUESTS))
    assert tally.table.total() == REQUESTS
    assert {kind for kind, _ in tally.table} == set(KINDS)
    assert tally.stored > REQUESTS / 4


NAMES = st.text(string.ascii_letters + string.digits + "-_!#$%&'*+.^`|~", min_size=1, max_size=30)
VALUES = st.text(st.characters(max_codepoint=255), max_size=60)
KNOWN = st.sampled_from(
    [
        "Transfer-Encoding",
        "Content-Length",
        "Host",
        "Connection",
        "Expect",
        "Upgrade",
        "Trailer",
        "X-Signature",
        "Content-Type",
        "Content-Encoding",
        "Cookie",
        "Keep-Alive",
        "TE",
    ]
)
LINES = st.lists(st.tuples(NAMES | KNOWN, VALUES), max_size=6)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
EVENTS = st.dictionaries(st.sampled_from(["id", "shipment_id", "status", "x"]), JSON)


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(LINES)
@example([("Upgrade", "h2c")])
@example([("Transfer-Encoding", "xchunked")])
def test_no_head_makes_the_edge_store_an_unsigned_event(
    edge: Edge, store: RedisServer, lines: list[tuple[str, str]]
) -> None:
    client, body = raw_client(store), event("evt_1")
    client.flushall()
    usual = [*bench_headers(body).items(), ("Content-Length", str(len(body))), ("Host", "x.y")]
    head = "".join(f"{name}: {text}\r\n" for name, text in [*lines, *usual])
    sent = f"POST /v1/events/bench HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body
    before = edge.workers()
    case = Case(0, "hypothesis", (sent,))
    heard = talk(edge, sent, half_close=True)
    assert oracle.fault(case, heard) == ""
    assert client.exists("{gw:0}:body:bench:evt_1") == (202 in heard.statuses)
    assert edge.workers() == before


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(EVENTS.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=80))
def test_a_signed_body_is_stored_byte_for_byte_or_rejected(
    edge: Edge, store: RedisServer, body: bytes
) -> None:
    client = raw_client(store)
    client.flushall()
    reply = edge.post(body)
    assert reply.status in (202, 400)
    held = [client.get(key) for key in client.scan_iter("{gw:0}:body:*")]
    assert held == ([body] if reply.status == 202 else [])


def test_seed_and_number_reproduce_a_case() -> None:
    for number in range(200):
        one, two = make(7, number), make(7, number)
        if b"webhook-timestamp" not in one.sent.lower():  # which holds the time
            assert one == two
    assert make(7, 1).sent != make(8, 1).sent


def right_case() -> tuple[Case, bytes]:
    body = event("evt_1")
    head = "".join(f"{name}: {text}\r\n" for name, text in bench_headers(body).items())
    sent = f"POST / HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    return Case(1, "right", (sent,), right=True), body


def heard(
    status: int, content: bytes = b'{"status":"accepted","id":"bench:evt_1"}', ended: bool = True
) -> Talk:
    return Talk([Answer(status, {}, content)], ended, 0.1)


def test_the_oracle_accepts_a_right_answer_and_detects_every_kind_of_wrong_one() -> None:
    case, body = right_case()
    assert oracle.fault(case, heard(202)) == ""
    assert [one.body for one in oracle.signed(case.sent)] == [body]
    other = b'{"status":"accepted","id":"bench:evt_2"}'
    forged = Case(2, "changed bytes", (case.sent.replace(b"evt_1", b"evt_2"),))
    assert "nothing in the bytes signs" in oracle.fault(case, heard(202, other))
    assert "nothing in the bytes signs" in oracle.fault(forged, heard(202, other))
    coded = case.sent.replace(b"\r\nContent-L", b"\r\nTransfer-Encoding : x\r\nContent-L")
    assert "despite" in oracle.fault(Case(3, "odd lines", (coded,)), heard(202))
    assert "hung" in oracle.fault(case, heard(202, ended=False))
    assert "a right event was answered" in oracle.fault(case, heard(401))
    assert "500" in oracle.fault(forged, heard(500, b""))
    assert "501" in oracle.fault(forged, heard(501, b""))


def test_make_fuzz_prints_the_bytes_and_how_to_send_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tell(Bad(right_case()[0], "a worker was restarted"), 7, "gthread")
    said = capsys.readouterr().out
    assert "BAD: case 1 (right): a worker was restarted" in said
    assert "make fuzz KIND=gthread SEED=7 ONLY=1" in said
    assert (tmp_path / "fuzz-7-1.http").read_bytes() == right_case()[0].sent
