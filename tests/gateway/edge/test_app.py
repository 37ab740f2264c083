"""The WSGI application without a server: unexpected exceptions, bounded logs, problems."""

from __future__ import annotations

import hashlib
import logging

import falcon.testing
import pytest

from conf.settings import ROOT
from conf.sources.loader import load_sources
from gateway.edge import problems
from gateway.edge.app import Deps, create_app
from gateway.edge.problems import Problem
from gateway.edge.rejection_log import WINDOW_SECONDS, RejectionLog
from gateway.edge.request_body import is_json, read
from scheduler.accept_command import Caps
from scheduler.events import Acceptance, IncomingEvent
from scheduler.producer import Producer, Readiness
from tests.support.edge import bench_headers, event


class Broken(Producer):
    """A producer that raises unexpected exceptions; it opens no connection."""

    def __init__(self) -> None:
        super().__init__("redis://127.0.0.1:1", 0.5, Caps(1, 1, 1))

    def accept(self, event: IncomingEvent) -> Acceptance:
        raise KeyError("unexpected")

    def warm(self) -> None:
        pass

    def probe(self, timeout_seconds: float) -> None:
        raise KeyError

    def ready(self) -> Readiness:
        raise KeyError


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/events/bench"), ("GET", "/readyz")])
def test_an_unexpected_exception_is_answered_500_and_its_traceback_is_only_in_the_log(
    method: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    sources = load_sources(ROOT / "conf" / "sources.toml", {}, "local")
    client = falcon.testing.TestClient(create_app(Deps(sources, Broken, 1000)))
    reply = client.simulate_request(
        method, path, body=event("evt_1"), headers=bench_headers(event("evt_1"))
    )
    assert (reply.status_code, reply.content) == (500, problems.INTERNAL_ERROR.body)
    assert reply.headers["content-type"] == "application/problem+json"
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


def test_an_event_is_accepted_with_the_matching_secret_the_quota_and_a_short_digest() -> None:
    accepted: list[IncomingEvent] = []

    class Recording(Broken):
        def accept(self, event: IncomingEvent) -> Acceptance:
            accepted.append(event)
            return Acceptance("accepted", 1, 0)

    environ = {"BENCH_SECRET": "new", "BENCH_SECRET_PREVIOUS": "bench-secret"}
    sources = load_sources(ROOT / "conf" / "sources.toml", environ, "local")
    client = falcon.testing.TestClient(create_app(Deps(sources, Recording, 1000)))
    body = event("evt_1")
    client.simulate_post("/v1/events/bench", body=body, headers=bench_headers(body))
    digest = hashlib.blake2b(body, digest_size=8).hexdigest()
    assert accepted == [
        IncomingEvent("bench:evt_1", "bench", body, digest, "BENCH_SECRET_PREVIOUS", 0, 0)
    ]


def test_many_rejections_are_logged_as_one_line_per_window_and_the_next_line_counts_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    time = [0.0]
    rejection_log = RejectionLog(lambda: time[0])
    for _ in range(1000):
        rejection_log.note("bench", "mismatch", "192.0.2.1")
    rejection_log.note("bench", "missing", "192.0.2.2")
    rejection_log.note("standard", "mismatch", "192.0.2.3")
    time[0] = WINDOW_SECONDS
    rejection_log.note("bench", "mismatch", "192.0.2.4")
    assert [record.getMessage() for record in caplog.records] == [
        "refused source=bench reason=mismatch remote=192.0.2.1",
        "refused source=bench reason=missing remote=192.0.2.2",
        "refused source=standard reason=mismatch remote=192.0.2.3",
        "refused source=bench reason=mismatch remote=192.0.2.4, and 999 more since the last such "
        "line",
    ]
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_an_exception_that_any_client_can_cause_is_logged_at_a_bounded_rate(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sources = load_sources(ROOT / "conf" / "sources.toml", {}, "local")
    time = [0.0]
    client = falcon.testing.TestClient(
        create_app(Deps(sources, Broken, 1000, clock=lambda: time[0]))
    )
    assert {client.simulate_get("/readyz").status_code for _ in range(100)} == {500}
    client.simulate_post("/v1/events/bench", body=event("e"), headers=bench_headers(event("e")))
    time[0] += WINDOW_SECONDS
    client.simulate_get("/readyz")
    assert [record.getMessage() for record in caplog.records] == [
        "unhandled in GET /readyz",
        "unhandled in POST /v1/events/{source}",
        "unhandled in GET /readyz, and 99 more since the last such line",
    ]
    assert all(record.exc_info for record in caplog.records)


@pytest.mark.parametrize(
    ("seconds", "sent"),
    [
        (0, 1),
        (0.2, 1),
        (1, 1),
        (1.01, 2),
        (59.5, 60),
        (1e9, 3600),
        (float("inf"), 3600),
        (-5, 1),
        (float("nan"), 1),
    ],
)
def test_retry_after_is_a_whole_number_of_seconds_and_never_0(seconds: float, sent: int) -> None:
    assert problems.whole_seconds(seconds) == sent


def test_each_problem_has_its_own_type() -> None:
    known = [value for value in vars(problems).values() if isinstance(value, Problem)]
    assert len({problem.code for problem in known}) == len(known) > 10
    assert all(f'"urn:fincart:problem:{p.code}"'.encode() in p.body for p in known)


@pytest.mark.parametrize(
    ("content_type", "json"),
    [
        ("application/json", True),
        (" application/json ;", True),
        ("application/a+json", True),
        ("application/+json", False),
        ("application/a+jsons", False),
        ("application/json5", False),
        ("application/json; charset=utf-8; charset=utf-7", False),
        ("*/*", False),
        ("application/json; v=1", False),
        ("application/" + "a" * 10_000 + "+json", False),
    ],
)
def test_only_json_in_utf_8_counts_as_json(content_type: str, json: bool) -> None:
    assert is_json(content_type) is json


class Pieces:
    """A stream that returns its content in pieces, then ends or fails."""

    def __init__(self, *pieces: bytes | OSError) -> None:
        self.pieces = list(pieces)

    def read(self, size: int) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, OSError):
            raise piece
        return piece[:size]


def test_a_body_is_read_to_exactly_its_length_or_rejected() -> None:
    def ask(*pieces: bytes | OSError) -> bytes | None:
        return read({"CONTENT_LENGTH": "4", "wsgi.input": Pieces(*pieces)})

    assert ask(b"abcd") == b"abcd"
    assert ask(b"ab", b"c", b"def") == b"abcd"
    assert ask(b"abc") is None
    assert ask(b"") is None
    assert ask(b"a", BlockingIOError()) is None
    assert ask(ConnectionResetError()) is None
