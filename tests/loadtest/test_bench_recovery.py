"""The verdicts of the recovery benchmarks, and the tools that they measure with."""

from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from loadtest.bench.recovery import constant_load, faults
from loadtest.bench.recovery.constant_load import ConstantLoad
from loadtest.bench.recovery.edge import judge
from loadtest.bench.recovery.faults import Return
from loadtest.harness.history import Answer
from loadtest.harness.signed import NO_ROUTE
from loadtest.harness.wait import RunFailed, wait_until

# Redis is killed at 10.0, gone at 10.1, last seen unavailable at 13.0 and answers at 13.1.
FAULT, GONE, BACK = 10.0, 10.1, Return(13.0, 13.1)


def answer(status: int, at: float, ms: float = 1.0) -> Answer:
    return Answer(f"bench:{at}", "", status, at, ms)


GOOD = [answer(202, 9.0), answer(503, 10.2, 500), answer(503, 11.0), answer(202, 13.2)]


def test_an_outage_is_described_by_its_answers_and_by_the_first_2xx_after_it() -> None:
    outage = judge(GOOD, GONE, BACK, FAULT)
    assert (outage.answers, outage.wrong) == (2, 0)
    assert (outage.first_ms, outage.slowest_ms) == (500, 500)
    assert outage.recovery_seconds == pytest.approx(0.101)


@pytest.mark.parametrize(
    "bad",
    [
        answer(202, 11.5),  # acknowledged while nothing could be written
        answer(202, 10.2, 2000),  # the same, after a long wait
        answer(500, 12.0),
        answer(0, 10.2, 10_000),  # no answer at all
    ],
    ids=["false 2xx", "late false 2xx", "500", "hang"],
)
def test_each_answer_that_is_no_503_is_counted(bad: Answer) -> None:
    outage = judge([*GOOD, bad], GONE, BACK, FAULT)
    assert outage.wrong == 1
    assert outage.slowest_ms == max(500, bad.ms)


@pytest.mark.parametrize(
    "fair",
    [
        answer(202, 9.9, 200),  # written before the kill
        answer(202, 10.05, 100),  # in the moment of the kill, perhaps before it
        answer(202, 12.9, 150),  # Redis had returned when it was answered
    ],
    ids=["before", "at the kill", "after"],
)
def test_a_2xx_that_may_be_true_is_not_called_false(fair: Answer) -> None:
    assert judge([*GOOD, fair], GONE, BACK, FAULT).wrong == 0


def test_a_condition_that_does_not_hold_in_time_is_an_error() -> None:
    with pytest.raises(RunFailed, match=r"waited 0\.05 s for a miracle"):
        wait_until(lambda: False, 0.05, "a miracle")


def test_a_killed_process_is_gone_when_kill_returns() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    sent, gone = faults.kill(process.pid)
    assert sent <= gone
    assert process.wait(5) == -9


def test_a_frozen_process_goes_on_after_the_block() -> None:
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        with faults.frozen(process.pid):
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.flush()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.3)
        assert process.wait(20) == 0


class _Edge(BaseHTTPRequestHandler):
    """Answers 202, then closes a connection without an answer, then 503."""

    protocol_version = "HTTP/1.1"
    seen = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        _Edge.seen += 1
        if _Edge.seen == 2:
            self.close_connection = True
            return
        self.send_response(202 if _Edge.seen == 1 else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_every_request_is_in_the_history_also_one_without_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_Edge, "seen", 0)
    monkeypatch.setattr(constant_load, "COURIERS", 1)
    monkeypatch.setattr(constant_load, "PAUSE_SECONDS", 0.001)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Edge)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    class Environment:
        url = f"http://127.0.0.1:{server.server_port}/v1/events/bench"

    with ConstantLoad(Environment(), "t", NO_ROUTE) as posting:  # type: ignore[arg-type]
        wait_until(lambda: len(posting.history.answers) >= 5, 10, "five answers")
    server.shutdown()
    server.server_close()
    assert [one.status for one in posting.history.answers[:4]] == [202, 0, 503, 503]
    assert len({one.key for one in posting.history.answers}) == len(posting.history.answers)
    assert posting.acknowledged_since(0)
    assert not posting.acknowledged_since(posting.history.answers[0].sent_at)
