"""What locust counts as accepted, and what as a failure: judged on a gateway that is played."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson

from gateway.stack.environment import inherited
from loadtest.load.locust_process import Outcome, Plan, drive

BURST = Plan("burst", "loadtest/locustfile_burst.py", users=6, report=False)
# So many that a tenth is some, even if a busy machine starts most of them late.
SUSTAINED = Plan("sustained", "loadtest/locustfile.py", users=40, seconds=4, report=False)


@contextmanager
def played(status: Callable[[str, bool], int]) -> Iterator[str]:
    """A gateway whose answer is ``status(event's id, seen before)``; yields its URL."""
    seen: set[str] = set()
    lock = threading.Lock()

    class Played(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            event = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
            id = event.get("id") or self.headers["webhook-id"]
            with lock:
                code = status(id, id in seen)
                seen.add(id)
            kind = {202: "accepted", 200: "duplicate"}.get(code, "problem")
            body = orjson.dumps({"status": kind, "id": f"{self.path.split('/')[-1]}:{id}"})
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Played)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def run(plan: Plan, folder: Path, status: Callable[[str, bool], int]) -> Outcome:
    def wait(over: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 40
        while not over() and time.monotonic() < deadline:
            time.sleep(0.05)

    with played(status) as url:
        return drive(plan, url, inherited(), str(folder), wait)


def test_a_burst_is_one_request_a_user(tmp_path: Path) -> None:
    outcome = run(BURST, tmp_path, lambda id, seen: 202)
    assert (outcome.failures, outcome.problem) == (0, "")
    assert [answer.status for answer in outcome.answers] == [202] * 6
    assert len({answer.key for answer in outcome.answers}) == 6


def test_a_429_is_a_failure_and_nothing_is_accepted(tmp_path: Path) -> None:
    outcome = run(BURST, tmp_path, lambda id, seen: 429)
    assert outcome.failures == 6
    assert outcome.problem
    assert {answer.status for answer in outcome.answers} == {429}
    assert "accepted" not in (tmp_path / "burst_stats.csv").read_text()


def test_repeats_that_are_called_duplicates_are_no_failures(tmp_path: Path) -> None:
    outcome = run(SUSTAINED, tmp_path, lambda id, seen: 200 if seen else 202)
    assert (outcome.failures, outcome.problem) == (0, "")
    assert {answer.status for answer in outcome.answers} == {200, 202}


def test_a_repeat_that_is_accepted_again_is_a_failure(tmp_path: Path) -> None:
    outcome = run(SUSTAINED, tmp_path, lambda id, seen: 202)
    assert outcome.failures > 0
    assert "duplicate" not in (tmp_path / "sustained_stats.csv").read_text()
