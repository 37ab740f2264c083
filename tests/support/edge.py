"""A real edge for the tests: gunicorn with the product's own configuration, on a free port."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import importlib
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.stack.home_directory import free_ports
from tests.support.contract import Contract
from tests.support.servers import ROOT, await_true

BENCH_SECRET = b"bench-secret"
STANDARD_SECRET = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

_LIKE_BENCH = """
preset = "github"
secrets_env = ["BENCH_SECRET"]
demo_secret = "bench-secret"
signature_header = "X-Signature"
pointers = { event_id = "/id", shipment_id = "/shipment_id", status = "/status" }
statuses = "canonical"
"""

# A source that tests add while the edge runs.
ACME = f"\n[acme]{_LIKE_BENCH}"

# The shipped sources, and one with a quota, one without event ids, and one that is not enabled.
SOURCES = (
    (ROOT / "conf" / "sources.toml").read_text()
    + f"\n[narrow]{_LIKE_BENCH}"
    + """\
quota_per_second = 0.5
quota_burst = 2

[nameless]
preset = "github"
secrets_env = ["BENCH_SECRET"]
demo_secret = "bench-secret"
signature_header = "X-Signature"
pointers = { shipment_id = "/shipment_id", status = "/status" }
statuses = "canonical"

[off]
preset = "github"
secrets_env = ["OFF_SECRET"]
optional = true
pointers = { shipment_id = "/shipment_id", status = "/status" }
statuses = "canonical"
"""
)


@dataclass(frozen=True)
class Reply:
    """An answer of the edge. seconds: how long the request took."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The last part of the problem's type. Fails if the body is not a valid problem."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.json["status"] == self.status
        assert self.json["title"]
        return str(self.json["type"]).removeprefix("urn:fincart:problem:")


def bench_headers(body: bytes) -> dict[str, str]:
    signature = hmac.digest(BENCH_SECRET, body, hashlib.sha256).hex()
    return {"Content-Type": "application/json", "X-Signature": f"sha256={signature}"}


def standard_headers(body: bytes, id: str, at: float | None = None) -> dict[str, str]:
    timestamp = str(int(time.time() if at is None else at))
    content = f"{id}.{timestamp}.".encode() + body
    mac = base64.b64encode(hmac.digest(STANDARD_SECRET, content, hashlib.sha256)).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{mac}",
    }


def event(id: str, **more: Any) -> bytes:
    """The body of an event."""
    return json.dumps({"id": id, "shipment_id": "SHP-1", "status": "in_transit"} | more).encode()


def kinds() -> list[str]:
    """The worker classes that this Python can run, the preferred one first."""
    try:
        importlib.import_module("meinheld.gmeinheld")
    except Exception:  # like gunicorn_conf.py: not installed, or not loadable on this Python
        return ["gthread"]
    return ["meinheld", "gthread"]


class Edge:
    """kind: meinheld, or gthread, for which importing meinheld fails."""

    def __init__(self, folder: Path, redis_url: str, kind: str, **settings: str) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        (folder / "sources.toml").write_text(SOURCES)
        self.environ = {
            "PATH": os.environ["PATH"],
            "PROFILE": "local",
            "REDIS_URL": redis_url,
            "GATEWAY_BIND": f"127.0.0.1:{self.port}",
            "WEB_CONCURRENCY": "1",
            "SOURCES_FILE": str(folder / "sources.toml"),
            "RUN_DIR": str(folder),
            # `make coverage` measures this process, too.
            **{name: os.environ[name] for name in os.environ if name.startswith("COVERAGE_")},
            **settings,
        }
        if kind == "gthread":
            broken = folder / "broken" / "meinheld"
            broken.mkdir(parents=True)
            (broken / "__init__.py").write_text('raise ImportError("not on this Python")\n')
            self.environ["PYTHONPATH"] = str(broken.parent)
        self.process: subprocess.Popen[bytes] | None = None
        self.contract: Contract | None = None  # its /openapi.json, once it has started

    def launch(self) -> subprocess.Popen[bytes]:
        """Start it without waiting."""
        with (self.folder / "edge.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "gunicorn",
                    "-c",
                    str(ROOT / "gateway" / "server" / "gunicorn_conf.py"),
                ],
                env=self.environ,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        return self.process

    def start(self) -> Edge:
        process = self.launch()

        def up() -> bool:
            assert process.poll() is None, self.log
            try:
                return self.get("/healthz").status == 200
            except OSError:
                return False

        await_true(up, 20, "the edge")
        # gunicorn starts the workers one after another, with pauses.
        wanted = int(self.environ["WEB_CONCURRENCY"])
        await_true(lambda: len(self.workers()) == wanted, 20, "all workers")
        self.contract = Contract(self.get("/openapi.json").json)
        return self

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def workers(self) -> list[int]:
        """The process ids of gunicorn's workers."""
        assert self.process is not None
        pids: list[int] = []
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            pids += map(int, (task / "children").read_text().split())
        return sorted(pids)

    @property
    def log(self) -> str:
        return (self.folder / "edge.log").read_text()

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send a request; the answer must match the edge's own description."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        begin = time.monotonic()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        return self._reply(method, path, response, content, time.monotonic() - begin)

    def _reply(
        self,
        method: str,
        path: str,
        response: http.client.HTTPResponse,
        content: bytes,
        seconds: float,
    ) -> Reply:
        names = {name.lower(): text for name, text in response.getheaders()}
        if self.contract is not None:
            self.contract.check(method, path, response.status, names, content)
        return Reply(response.status, names, content, seconds)

    def get(self, path: str) -> Reply:
        return self.request("GET", path)

    def post(self, body: bytes, source: str = "bench", **headers: str | None) -> Reply:
        """Post with a bench signature; headers are added, replaced, or left out (None)."""
        changed = bench_headers(body) | {n.replace("_", "-"): t for n, t in headers.items()}
        present = {name: text for name, text in changed.items() if text is not None}
        return self.request("POST", f"/v1/events/{source}", body, present)

    def raw(self, *lines: str, body: bytes = b"", last: bool = False) -> tuple[int, bytes]:
        """Post with exactly these header lines; returns status and content. last: close our side
        after sending."""
        head = "\r\n".join(["POST /v1/events/bench HTTP/1.1", "Host: x", *lines, "", ""]).encode()
        with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
            connection.sendall(head + body)
            if last:
                connection.shutdown(socket.SHUT_WR)
            response = http.client.HTTPResponse(connection)
            response.begin()
            reply = self._reply("POST", "/v1/events/bench", response, response.read(), 0)
            return reply.status, reply.body
