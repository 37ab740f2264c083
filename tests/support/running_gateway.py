"""A running stack and what tests do to it, as couriers, operators and Routing Service."""

from __future__ import annotations

import hashlib
import hmac
import io
import itertools
import os
import signal
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import orjson
import urllib3
from pymongo.database import Database
from redis import Redis

from gateway.cli.audit import examine, report
from gateway.cli.main import main
from gateway.stack.stack import Stack
from scheduler.connection import RedisConnection
from scheduler.inspector import Counters, Inspector
from tests.support.servers import await_true
from workers import mongo

Document = dict[str, Any]
WAIT_SECONDS = 60.0  # seconds to wait for a condition; the machine may be busy
SECRET = b"bench-secret"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Run:
    """The result of a command."""

    returncode: int
    stdout: str
    stderr: str


class RunningGateway:
    """redis, mongo: clients of the stack's stores, to inspect and corrupt them."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.redis = Redis.from_url(stack.redis_url, decode_responses=True, protocol=2)
        self.mongo: Database[Document] = mongo.connect(stack.mongo_url, 1)
        self._http = urllib3.PoolManager(retries=False, timeout=10)
        self._before = self.counters()

    def __enter__(self) -> RunningGateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.redis.close()
        self.mongo.client.close()
        self._http.clear()

    def empty_stores(self) -> None:
        """Delete all events, shipments and orders. The processes stay registered in Redis."""
        names = list(self.redis.scan_iter("{gw:0}:*"))
        if names:
            self.redis.delete(*names)
        for name in ("events", "shipments", "orders"):
            self.mongo[name].delete_many({})
        self._before = self.counters()

    # ---- what couriers do

    def shipment(self) -> str:
        """A new shipment with an open order."""
        name = f"T{next(_numbers)}"
        self.mongo["orders"].insert_one(
            {"_id": f"ORD-{name}", "merchant_id": "MER-1", "status": "open"}
        )
        self.mongo["shipments"].insert_one(
            {
                "_id": f"SHP-{name}",
                "order_id": f"ORD-{name}",
                "merchant_id": "MER-1",
                "active": True,
            }
        )
        return f"SHP-{name}"

    def post(
        self,
        shipment: str,
        status: str = "delivery_failed",
        *,
        event: str = "",
        at: datetime | None = None,
    ) -> str:
        """Send an event until it is accepted; returns its id. event: its name, or a new one."""
        event = event or f"evt_{next(_numbers)}"
        statuses: list[int] = []

        def send() -> bool:
            code = self.post_once(shipment, status, event=event, at=at)
            statuses.append(code)
            return code in (200, 202)

        await_true(send, WAIT_SECONDS, f"the edge to accept {event}: {statuses[-3:]}")
        return f"bench:{event}"

    def post_once(
        self,
        shipment: str,
        status: str = "delivery_failed",
        *,
        event: str,
        at: datetime | None = None,
        source: str = "bench",
    ) -> int:
        """Send an event once; returns the status of the response."""
        body = orjson.dumps(
            {
                "id": event,
                "shipment_id": shipment,
                "status": status,
                "occurred_at": (at or datetime.now(UTC)).isoformat(),
            }
        )
        signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
        return self._http.request(
            "POST",
            f"{self.stack.gateway_url}/v1/events/{source}",
            body=body,
            headers={"Content-Type": "application/json", "X-Signature": f"sha256={signature}"},
        ).status

    # ---- the Routing Service

    def behave(self, **behaviour: Any) -> None:
        """Set its behaviour; whatever is not named returns to its default."""
        answer = self._http.request("PUT", f"{self.stack.routing_url}/behaviour", json=behaviour)
        assert answer.status == 200, answer.data

    def routing(self, name: str) -> int:
        """One of its counters."""
        return int(self._http.request("GET", f"{self.stack.routing_url}/stats").json()[name])

    def calls_of(self, id: str) -> int:
        """Successful calls with the event's key."""
        keys = self._http.request("GET", f"{self.stack.routing_url}/stats/keys").json()
        return int(keys.get(id, 0))

    # ---- what operators see

    def counters(self) -> Counters:
        connection = RedisConnection(self.stack.redis_url)
        try:
            return Inspector(connection).counters()
        finally:
            connection.close()

    def counted(self, name: str) -> int:
        """The increase of a counter since the start of the test."""
        return self.counters().count(name) - self._before.count(name)

    def event(self, id: str) -> dict[str, str]:
        found: Any = self.redis.hgetall("{gw:0}:event:" + id)
        return dict(found)

    def state(self, id: str) -> str:
        """The event's state, followed by its lane if it has one."""
        fields = self.event(id)
        return " ".join(filter(None, (fields.get("state"), fields.get("lane"))))

    def entry(self, id: str) -> Document:
        """The event's ledger document."""
        return self.mongo["events"].find_one({"_id": id}) or {}

    def shipment_now(self, id: str) -> Document:
        return self.mongo["shipments"].find_one({"_id": id}) or {}

    def await_state(self, wanted: str, *ids: str) -> None:
        def reached() -> bool:
            return all(self.state(id) == wanted for id in ids)

        await_true(reached, WAIT_SECONDS, f"{wanted}: {ids[:3]}")

    def await_done(self, ids: Iterable[str]) -> None:
        self.await_state("done", *ids)

    def assert_balanced(self) -> None:
        connection = RedisConnection(self.stack.redis_url)
        findings = examine(Inspector(connection), self.mongo, effects=True)
        connection.close()
        assert findings.clean, "\n".join(report(findings))

    def command(self, *arguments: str, **settings: str) -> Run:
        """``python -m gateway …``, run in this process."""
        out, err = io.StringIO(), io.StringIO()
        environ = mock.patch.dict(os.environ, {**self.stack.env, **settings})
        with environ, redirect_stdout(out), redirect_stderr(err):
            code = main(list(arguments))
        return Run(code, out.getvalue(), err.getvalue())

    # ---- processes

    def living_workers(self) -> set[str]:
        """The names under which worker processes have registered themselves in Redis lately."""
        return {name.rpartition("/")[2] for name in self.redis.scan_iter("gw:proc:*")}

    def pid(self, program: str) -> int:
        return int(self.stack.ctl("pid", program))

    def pids(self) -> dict[str, int]:
        """Every running process of the stack."""
        found = {}
        for line in self.stack.ctl("status").splitlines():
            name, state, *rest = line.split()
            if state == "RUNNING":
                found[name] = int(rest[1].rstrip(","))
        return found

    def kill(self, *pids: int) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
