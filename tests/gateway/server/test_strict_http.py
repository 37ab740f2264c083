"""Invalid and unusual requests as exact bytes: none breaks, blocks or restarts a worker, and none
affects the request after it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.conftest import StartEdge
from tests.support.edge import Edge, bench_headers, event
from tests.support.raw_http import (
    Answer,
    exchange,
    fresh_event,
    in_bytes,
    request,
)
from tests.support.servers import RedisServer, await_true


@pytest.fixture
def edge(single_worker_edge: Edge) -> Iterator[Edge]:
    """After each test a valid request must be served, by the same worker."""
    before = single_worker_edge.workers()
    yield single_worker_edge
    assert exchange(single_worker_edge, request("Connection: close")).statuses == [202]
    assert single_worker_edge.workers() == before
    assert len(before) == 1


CLOSE = "Connection: close"
# 501: gunicorn's answer to an unknown transfer coding.
REJECTED = {400, 411, 413, 414, 417, 431, 501}

LENGTHS = [
    "-1",
    "+5",
    "five",
    "",
    " ",
    "0x5",
    "5.0",
    "5, 5",
    "5 5",
    "\0",
    "1" * 30,
    "99999999",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
]


@pytest.mark.parametrize("length", LENGTHS, ids=ascii)
def test_an_invalid_or_huge_length_is_rejected(edge: Edge, length: str) -> None:
    (status,) = exchange(edge, request(f"Content-Length: {length}", CLOSE, length=False)).statuses
    assert status in {400, 413}


@pytest.mark.parametrize("more", [0, 1, -1])
def test_two_lengths_are_rejected_even_if_they_are_equal(edge: Edge, more: int) -> None:
    body = fresh_event()
    twice = request(f"Content-Length: {len(body) + more}", CLOSE, body=body)
    assert exchange(edge, twice).statuses == [400]


CODINGS = [
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding : xchunked",
    "Transfer-Encoding\t: xchunked",
    "transfer-encoding: CHUNKED",
    "Transfer-Encoding:",
    "Transfer-Encoding: \0",
    "Transfer-Encoding:\x0bchunked",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding\0: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: xchunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: xchunked",
    "X: y\nTransfer-Encoding: xchunked",
    "X: y\rTransfer-Encoding: xchunked",
]


@pytest.mark.parametrize("coding", CODINGS, ids=ascii)
@pytest.mark.parametrize("length", [True, False], ids=["with a length", "without"])
def test_no_transfer_encoding_is_accepted_in_any_spelling(
    edge: Edge, coding: str, length: bool
) -> None:
    result = exchange(edge, request(coding, CLOSE, length=length), half_close=True)
    assert set(result.statuses) <= REJECTED
    assert result.statuses
    assert result.ended


@pytest.mark.parametrize(
    "chunks",
    [
        b"%x\r\n%b\r\n0\r\n\r\n",
        b"%x;ext=1\r\n%b\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\n",
        b"-1\r\n",
        b"zz\r\n",
        b"",
    ],
    ids=ascii,
)
def test_a_chunked_body_is_rejected_and_the_bytes_after_it_are_not_read_as_a_request(
    edge: Edge, chunks: bytes
) -> None:
    body = fresh_event()
    if chunks.count(b"%"):
        chunks %= (len(body), body)
    head = request("Transfer-Encoding: chunked", body=b"", length=False)
    result = exchange(edge, head + chunks, half_close=True)
    # 503: meinheld, to a part of one.
    assert result.statuses[:1] in ([400], [411], [503])
    assert result.ended


@pytest.mark.parametrize("fault", ["trailers", "a long header in two parts"])
def test_a_request_that_crashes_meinheld_costs_one_worker_and_none_of_gthread(
    start_edge: StartEdge, http_redis: RedisServer, kind: str, fault: str
) -> None:
    """Known faults of meinheld, and the reason why gthread can be configured."""
    edge = start_edge(http_redis.url, WEB_CONCURRENCY="2")
    before = edge.workers()
    if fault == "trailers":
        head = request("Transfer-Encoding: chunked", body=b"", length=False)
        pieces = [head + b"0\r\nX-Trailer: x\r\n\r\n"]
    else:
        long = request("X-A: " + "a" * 9000)
        pieces = [long[:4000], long[4000:]]
    for _ in range(1 if fault == "trailers" else 8):
        result = exchange(edge, *pieces, half_close=True, pause_seconds=0.001)
        assert result.ended
        assert kind == "meinheld" or result.statuses in ([411], [431])
    if kind == "gthread":
        assert edge.workers() == before
    else:
        await_true(lambda: len(edge.workers()) == 2, 10, "a replacement worker")
    await_true(
        lambda: exchange(edge, request(CLOSE)).statuses == [202], 10, "a valid event to be accepted"
    )


@pytest.mark.parametrize(
    "lines",
    [
        ["Transfer-Encoding: xchunked"],
        ["Content-Length:\r\n 40"],
        ["Transfer-Encoding: identity"],
    ],
    ids=ascii,
)
def test_after_a_request_with_an_uncertain_end_the_connection_gets_no_further_answer(
    edge: Edge, lines: list[str]
) -> None:
    """A proxy that sees another end would pass the second answer to another client."""
    inner = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    result = exchange(edge, request(*lines, body=inner, length=False))
    assert len(result.answers) == 1
    assert result.answers[0].status in REJECTED
    assert result.ended


@pytest.mark.parametrize(
    "host",
    [
        None,
        "Host:",
        "Host: a.example\r\nHost: a.example",
        "Host: a.example\r\nHost: b.example",
        "Host: a b",
        "Host: a/b",
        "Host: a@b",
        "Host: \xe9",
    ],
    ids=ascii,
)
def test_400_without_exactly_one_valid_host(edge: Edge, host: str | None) -> None:
    assert exchange(edge, request(CLOSE, host=host)).statuses == [400]
    path = exchange(edge, request(CLOSE, host=host, line="GET /healthz HTTP/1.1"))
    assert path.statuses == [400]


@pytest.mark.parametrize(
    "host",
    [
        "x",
        "gateway.example.com:8080",
        "127.0.0.1",
        "[::1]:8080",
        "my_host",
        "xn--bcher-kva.example",
    ],
)
def test_every_valid_form_of_host_is_accepted(edge: Edge, host: str) -> None:
    assert exchange(edge, request(CLOSE, host=f"Host: {host}")).statuses == [202]


MALFORMED_LINES = {
    "NUL in a name": "X\0A: b",
    "CR in a value": "X-A: b\rc",
    "blank in a name": "X A: b",
    "no name": ": b",
    "bytes beyond ASCII in a name": "X-\xe9: b",
    "a quote in a name": 'X"A: b',
}


@pytest.mark.parametrize("line", MALFORMED_LINES.values(), ids=MALFORMED_LINES.keys())
def test_a_malformed_header_line_is_rejected(edge: Edge, line: str) -> None:
    assert exchange(edge, request(line, CLOSE)).statuses == [400]


@pytest.mark.parametrize(
    "line",
    ["X-A: b\0c", "X-A: b\nc", "X-A: \x01\x7f", "X-A: \xff\xfe", "Foo", "X-A: b\r\n folded"],
    ids=ascii,
)
def test_an_unusual_header_value_has_no_effect(edge: Edge, line: str) -> None:
    assert exchange(edge, request(line, CLOSE)).statuses in ([202], [400])


@pytest.mark.parametrize(
    "suffix", ["\0", "\0zz", "\r\n zz", "\x7f", "\xff", " , ", "\tzz"], ids=ascii
)
def test_a_signature_followed_by_other_bytes_is_rejected(
    edge: Edge, kind: str, suffix: str
) -> None:
    body = fresh_event()
    signed = bench_headers(body)["X-Signature"]
    whole = request(CLOSE, body=body).replace(signed.encode(), (signed + suffix).encode("latin-1"))
    truncated = kind == "meinheld" and suffix.startswith(
        "\0"
    )  # a known fault: its C string ends there
    assert exchange(edge, whole).statuses in ([[202]] if truncated else [[400], [401]])


LARGE = {
    "a header of 64 KB": ["X-A: " + "a" * 65_536],
    "a name of 64 KB": ["X" * 65_536 + ": a"],
    "1,000 headers": [f"X-{n}: a" for n in range(1000)],
    "1,000 times the same": ["X-A: a"] * 1000,
}


@pytest.mark.parametrize("lines", LARGE.values(), ids=LARGE.keys())
def test_a_head_that_is_too_large_is_rejected(edge: Edge, lines: list[str]) -> None:
    assert exchange(edge, request(*lines, CLOSE)).statuses in ([400], [431])


@pytest.mark.parametrize("path", ["a" * 100_000, "?" + "a" * 100_000, "/" * 100_000])
def test_a_path_of_100_kb_is_rejected(edge: Edge, path: str) -> None:
    result = exchange(edge, request(CLOSE, line=f"POST /v1/events/{path} HTTP/1.1"))
    assert result.statuses in ([400], [414])


@pytest.mark.parametrize(
    "path",
    [
        "/v1/events/bench%",
        "/v1/events/%zz",
        "/v1/events/%ff",
        "/v1/events/%00",
        "/%2e%2e/",
        "/v1/events/%F0%9F%92%A9",
    ],
)
def test_404_for_unusual_paths(edge: Edge, path: str) -> None:
    assert exchange(edge, request(CLOSE, line=f"POST {path} HTTP/1.1")).statuses == [404]


@pytest.mark.parametrize(
    "line",
    [
        "POST /v1/events/be\0nch HTTP/1.1",
        "POST /v1/events/\xff HTTP/1.1",
        "POST",
        "POST *",
        "POST /v1/events/bench HTTP/x.y",
        "post /v1/events/bench HTTP/1.1",
        "\0\0\0\0",
        "POST /v1/events/bench FTP/1.1",
        "PRI * HTTP/2.0",
    ],
    ids=ascii,
)
def test_a_malformed_request_line_is_rejected(edge: Edge, line: str) -> None:
    result = exchange(edge, request(CLOSE, line=line), half_close=True)
    # 404: meinheld, without a version.
    assert set(result.statuses) <= {400, 404, 411}
    assert result.ended


def test_http_1_0_is_served_with_and_without_a_host(edge: Edge) -> None:
    old = "POST /v1/events/bench HTTP/1.0"
    for host in (None, "Host: x"):
        result = exchange(edge, request(line=old, host=host))
        assert result.statuses == [202]
        assert result.ended


def test_http_0_9_stores_nothing_and_is_closed(edge: Edge) -> None:
    for line in (b"GET /healthz\r\n", b"POST /v1/events/bench\r\n"):
        result = exchange(edge, line + b"\r\n" + fresh_event(), half_close=True)
        assert set(result.statuses) <= {200, 400, 411}
        assert result.ended


HELLO = bytes.fromhex("16030100c4010000c00303") + b"\x5a" * 190


def test_a_tls_hello_is_answered_or_closed_at_once(edge: Edge) -> None:
    result = exchange(edge, HELLO, half_close=True)
    assert set(result.statuses) <= {400}
    assert result.ended


@pytest.mark.parametrize(
    "lines",
    [
        ["Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings"],
        ["Upgrade: foo"],
        [
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ],
    ],
    ids=["h2c", "unknown", "websocket"],
)
def test_a_request_for_another_protocol_does_not_affect_the_next_one(
    edge: Edge, lines: list[str]
) -> None:
    for _ in range(3):
        result = exchange(edge, request(*lines), expect=1)
        assert result.statuses in ([202], [400])  # gunicorn ignores it, meinheld does not
        body = fresh_event()
        assert edge.post(body).status == 202


def test_connect_does_not_affect_the_next_request(edge: Edge) -> None:
    for _ in range(3):
        result = exchange(edge, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", half_close=True)
        assert result.statuses in ([400], [404])
        assert edge.get("/healthz").status == 200


@pytest.mark.parametrize("cut", [1, 10, 60, -200, -40, -1])
def test_a_request_that_ends_early_is_not_accepted(edge: Edge, cut: int) -> None:
    result = exchange(edge, request()[:cut], half_close=True)
    # meinheld answers an incomplete request with 503; gunicorn closes.
    assert set(result.statuses) <= {400, 503}
    assert result.ended
    assert result.seconds < 8


def test_a_request_may_arrive_byte_by_byte(edge: Edge) -> None:
    assert exchange(edge, *in_bytes(request(CLOSE)), pause_seconds=0.0005).statuses == [202]


def test_a_request_may_arrive_in_two_parts_split_at_any_byte(edge: Edge) -> None:
    whole = request(CLOSE)
    for at in range(0, len(whole), 23):
        body = fresh_event()
        whole = request(CLOSE, body=body)
        assert exchange(edge, whole[:at], whole[at:], pause_seconds=0.002).statuses == [202]


def test_100_continue_is_sent_before_the_answer(edge: Edge) -> None:
    assert exchange(edge, request("Expect: 100-continue", CLOSE)).statuses == [100, 202]
    whole = request("Expect: 100-continue", CLOSE)
    head = whole.index(b"\r\n\r\n") + 4
    # Like curl, which waits a moment for the 100 and then sends the body.
    assert exchange(edge, whole[:head], whole[head:], pause_seconds=0.05).statuses == [100, 202]


def test_another_expectation_is_417(edge: Edge) -> None:
    assert exchange(edge, request("Expect: a-miracle", CLOSE)).statuses == [417]


def as_a_client_reads(answers: list[Answer]) -> list[int]:
    """The statuses that a client reads. After a response with Connection: close it stops reading
    and repeats unanswered requests on another connection (RFC 9112, 9.6)."""
    read = []
    for answer in answers:
        read.append(answer.status)
        if answer.closes:
            break
    return read


@pytest.mark.parametrize("cut", [None, 20, 90, -30])
def test_a_pipelined_event_is_answered_or_the_answer_before_it_has_connection_close(
    edge: Edge, kind: str, cut: int | None
) -> None:
    first, second = request(), request(CLOSE)
    pieces = [first + second] if cut is None else [first + second[:cut], second[cut:]]
    result = exchange(edge, *pieces, pause_seconds=0.02 if cut else 0)
    assert as_a_client_reads(result.answers) == ([202, 202] if kind == "gthread" else [202])


def test_pipelined_requests_without_bodies_are_all_answered(edge: Edge) -> None:
    health_request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
    result = exchange(
        edge,
        health_request
        + b"\r\n"
        + health_request
        + b"\r\n"
        + health_request
        + b"Connection: close\r\n\r\n",
    )
    assert result.statuses == [200, 200, 200]


def test_an_event_sent_before_the_first_one_was_answered_is_answered_after_it(
    edge: Edge,
) -> None:
    result = exchange(edge, request(), request(CLOSE), pause_seconds=0.05)
    assert result.statuses == [202, 202]


def test_a_body_far_over_the_limit_is_rejected_before_it_has_arrived(edge: Edge) -> None:
    head = request("Content-Length: 1000000", length=False)
    result = exchange(edge, head, expect=1)
    assert result.statuses == [413]
    assert result.seconds < 5


def test_gthread_serves_if_it_is_configured(tmp_path: Path, http_redis: RedisServer) -> None:
    edge = Edge(tmp_path, http_redis.url, "meinheld", GATEWAY_SERVER="gthread")
    try:
        assert exchange(edge.start(), request(CLOSE)).answers[0].headers["server"] == "gunicorn"
        assert "serving with gthread, 32 threads per process (GATEWAY_SERVER)" in edge.log
    finally:
        edge.stop()


def test_the_log_names_the_address_of_the_rejected_client(
    start_edge: StartEdge, http_redis: RedisServer
) -> None:
    edge = start_edge(http_redis.url)  # its own log: no earlier rejection suppresses the line
    health_request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    body = event("evt_other")
    unsigned = request(body=body, line="POST /v1/events/standard HTTP/1.1")
    with socket.create_connection(("127.0.0.1", edge.port), 5, ("127.0.0.2", 0)) as first:
        first.sendall(health_request)
        assert first.recv(12) == b"HTTP/1.1 200"
        with socket.create_connection(("127.0.0.1", edge.port), 5, ("127.0.0.3", 0)) as second:
            second.sendall(health_request)
            assert second.recv(12) == b"HTTP/1.1 200"
        first.sendall(unsigned)
        await_true(lambda: "refused source=standard reason=missing" in edge.log, 5)
    (line,) = [line for line in edge.log.splitlines() if "refused source=standard" in line]
    assert line.endswith("remote=127.0.0.2")


@pytest.mark.usefixtures("many_files")
def test_3000_half_open_connections_do_not_delay_good_clients(
    start_edge: StartEdge, http_redis: RedisServer
) -> None:
    edge = start_edge(http_redis.url)
    before = edge.workers()
    partial_requests = [b"", b"P", b"POST /v1/events/bench HTTP/1.1\r\nHost: x\r\nX-A"]
    idle = [socket.create_connection(("127.0.0.1", edge.port), 5) for _ in range(3000)]
    try:
        for n, connection in enumerate(idle):
            connection.sendall(partial_requests[n % 3])
        files = Path(f"/proc/{before[0]}/fd")
        await_true(lambda: len(list(files.iterdir())) > len(idle), 30, "all to be accepted")
        for _ in range(20):
            result = exchange(edge, request(CLOSE), timeout_seconds=15)
            assert result.statuses == [202]
        # Clients that were only slow are served, too.
        for connection in idle[::300] + idle[-3::-3][:3]:
            connection.sendall(request(CLOSE))
            assert connection.recv(12) == b"HTTP/1.1 202"
    finally:
        for connection in idle:
            connection.close()
    assert edge.workers() == before
