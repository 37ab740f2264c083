"""What locust counts as accepted, and what as a failure, against a simulated gateway."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson

from gateway.stack.environment import inherited
from loadtest.harness.wait import wait_until
from loadtest.load.locust_process import Outcome, Plan, drive

BURST = Plan("burst", "loadtest/locustfile_burst.py", users=6, report=False)
# So many that a tenth is some, even if a busy machine starts most of them late.
SUSTAINED = Plan("sustained", "loadtest/locustfile.py", users=40, seconds=4, report=False)


@contextmanager
def simulated(status: Callable[[str, bool], int]) -> Iterator[str]:
    """A gateway whose answer is ``status(event's id, seen before)``; yields its URL."""
    seen: set[str] = set()
    lock = threading.Lock()

    class Gateway(BaseHTTPRequestHandler):
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

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def run(plan: Plan, folder: Path, status: Callable[[str, bool], int]) -> Outcome:
    with simulated(status) as url:
        return drive(
            plan, url, inherited(), str(folder), lambda over: wait_until(over, 40, "locust")
        )


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
