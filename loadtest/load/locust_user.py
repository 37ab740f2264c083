"""A locust user that posts signed events and compares each answer with the expected ones.

Importing this imports locust, which patches the interpreter: only locust files may.

Only a 202 counts as accepted: each answer goes into locust's statistics under its own kind, and an
unexpected one is a failure.
"""

from __future__ import annotations

import time
from typing import IO, Any

import gevent  # type: ignore[import-untyped]
import orjson
from locust import FastHttpUser, events
from locust.stats import CSV_STATS_INTERVAL_SEC

from conf.settings import load
from conf.sources.loader import load_sources
from gateway.stack.environment import inherited
from loadtest.harness.history import ACCEPTED, DUPLICATE, Answer, Event, note, word_of
from loadtest.harness.http_client import Request
from loadtest.harness.signed import signed
from loadtest.load.traffic import body

KINDS = {ACCEPTED: "accepted", DUPLICATE: "duplicate"}

_environ = inherited()
# As in `make up`: the published demo secrets, unless the environment holds others.
_sources = load_sources(load(_environ).sources_file, _environ, "local")
_log: IO[str] | None = None


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _arguments(parser: Any, **_: Any) -> None:
    parser.add_argument("--answers", default="", help="file to which each answer is written")
    parser.add_argument(
        "--run-name",
        default=f"load{int(time.time())}",
        help="first part of the event ids; the same twice makes duplicates",
    )


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _open_log(environment: Any, **_: Any) -> None:
    global _log
    path = environment.parsed_options.answers
    _log = open(path, "a", buffering=1) if path else None  # noqa: SIM115 (open for the whole run)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _wait_for_the_csv(environment: Any, **_: Any) -> None:
    """Locust writes it once a second, and would omit the last second."""
    if environment.parsed_options.csv_prefix:
        gevent.sleep(1.5 * CSV_STATS_INTERVAL_SEC)


class Sender(FastHttpUser):
    """Posts each request once: a client that tries again by itself would hide a failure."""

    abstract = True
    host = "http://127.0.0.1:8080"
    max_retries = 0
    network_timeout = 10.0
    connection_timeout = 10.0

    @property
    def run_name(self) -> str:
        return str(self.environment.parsed_options.run_name)

    def body(self, event: Event) -> bytes:
        return body(event, _sources[event.source], time.time())

    def sign(self, event: Event, body: bytes) -> Request:
        return signed(_sources[event.source], event.id, body, time.time())

    def post(self, event: Event, request: Request, *allowed: int) -> int:
        """Send it; returns the status of the answer, 0 if none came."""
        data: Any = request.body  # locust's annotation excludes bytes
        headers = {"Content-Type": "application/json", **request.headers}
        with self.client.post(
            request.path, data=data, headers=headers, catch_response=True
        ) as answer:
            status, meta = int(answer.status_code or 0), answer.request_meta
            wanted = {"status": KINDS.get(status), "id": event.key}
            if status in allowed and orjson.loads(answer.content or b"null") == wanted:
                meta["name"] = f"{event.source}: {KINDS[status]} ({status})"
                answer.success()
            else:
                meta["name"] = f"{event.source}: UNEXPECTED"
                answer.failure(
                    f"answered {status or repr(answer.error)}, expected "
                    + " or ".join(str(one) for one in allowed)
                )
            if _log is not None:
                content = answer.content or b""
                word = word_of(content, event.key) if status else repr(answer.error)
                sent_at, ms = meta["start_time"], meta["response_time"]
                note(Answer(event.key, event.shipment, status, sent_at, ms, word), _log)
            return status
