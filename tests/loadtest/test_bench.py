"""The computations, the printed report and the requests of the benchmarks; no stack is started."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path

import orjson

from conf.settings import Settings
from conf.sources.loader import load_sources
from gateway.edge.signatures.body_hmac import BodyHmac
from loadtest.bench.pacer import Pacer
from loadtest.harness import report, signed
from loadtest.harness.figures import Figure, Section, at_least, at_most, median

SECTION = Section(
    "drain",
    "a title",
    "somehow",
    (
        Figure("efficiency", 0.9312, "ratio", at_least(0.9), (0.93, 0.94)),
        Figure("p99", 12345.6, "ms", at_most(10)),
        Figure("calls", 256, "calls"),
    ),
    ("a note",),
)


def test_median_is_the_middle_or_the_mean_of_the_two_in_the_middle() -> None:
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5


def test_a_figure_without_a_target_has_no_verdict_and_the_limit_itself_is_ok() -> None:
    assert [figure.verdict for figure in SECTION.figures] == ["ok", "short", ""]
    assert at_least(0.9).met(0.9)
    assert at_most(0.9).met(0.9)


def test_the_table_is_aligned_and_has_the_target_next_to_the_figure() -> None:
    assert report.text(SECTION).splitlines() == [
        "drain: a title",
        "  figure       value  unit    target  verdict  samples",
        "  efficiency   0.931  ratio  ≥ 0.900  ok       0.930 0.940",
        "  p99         12,346  ms        ≤ 10  short",
        "  calls          256  calls",
        "  measured: somehow",
        "  note: a note",
    ]


def test_the_json_holds_every_figure_with_its_samples_target_and_verdict() -> None:
    found = json.loads(report.document({"cores": "2"}, {"quick": True}, [SECTION], {"cost": "x"}))
    assert found["machine"] == {"cores": "2"}
    assert found["failed"] == {"cost": "x"}
    first, _, last = found["benchmarks"]["drain"]["figures"]
    assert first == {
        "name": "efficiency",
        "value": 0.9312,
        "unit": "ratio",
        "verdict": "ok",
        "target": {"kind": "≥", "limit": 0.9},
        "samples": [0.93, 0.94],
    }
    assert last["target"] is last["verdict"] is None


def test_requests_are_equally_long_rightly_signed_and_no_duplicates(tmp_path: Path) -> None:
    requests = signed.write(tmp_path / "r", "t", 200, signed.MIXED)
    source = load_sources(Settings().sources_file, {}, "local")["bench"]
    scheme = BodyHmac(source.signature, source.secrets)
    data, ids = requests.path.read_bytes(), set()
    for at in range(0, len(data), requests.size_bytes):
        head, _, body = data[at : at + requests.size_bytes].partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        assert int(lines["Content-Length"]) == len(body) == signed.BODY_BYTES
        headers = {"HTTP_X_SIGNATURE": lines["X-Signature"]}
        assert scheme.verify(headers.get, body, 0).reason is None
        ids.add(orjson.loads(body)["id"])
    assert len(ids) == requests.count == 200


def test_a_stall_of_the_server_is_charged_to_every_request_due_meanwhile() -> None:
    stall, rate, count = 0.4, 250, 150
    with socket.create_server(("127.0.0.1", 0), backlog=600) as listener:
        server = threading.Thread(target=_answer, args=(listener, count, stall), daemon=True)
        server.start()
        pacer = Pacer(b"x" * 10 * count, 10, count, rate, listener.getsockname())
        pacer.run()
        server.join(5)
    assert min(pacer.latency_seconds) >= 0  # all were answered
    # Those due in the first half of the stall waited for its second half at the least.
    assert sum(latency >= stall / 2 for latency in pacer.latency_seconds) >= rate * stall / 2


def _answer(listener: socket.socket, count: int, stall: float) -> None:
    """Answers one request of ten bytes after another; the twentieth takes long."""
    connections: list[socket.socket] = []
    listener.setblocking(False)
    answered = 0
    while answered < count:
        try:
            connection = listener.accept()[0]
            connection.setblocking(False)
            connections.append(connection)
        except BlockingIOError:
            time.sleep(0.001)
        for connection in connections:
            try:
                asked = len(connection.recv(10))
            except BlockingIOError:
                continue
            if asked:
                answered += 1
                time.sleep(stall if answered == 20 else 0)
                connection.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok")
    for connection in connections:
        connection.close()
