"""A Compose project with a unique name and free ports, removed afterwards with its volumes."""

from __future__ import annotations

import json
import uuid
from functools import partial
from typing import Any

from gateway.stack.home_directory import free_ports
from tests.docker.engine import await_true, docker, run

UP_SECONDS = 180
SERVICES = ("redis", "mongo", "routingsim", "app")

# Prints those of the ids on standard input that are not done in the ledger.
UNFINISHED = """
import json, os, sys
from pymongo import MongoClient
ids = json.load(sys.stdin)
ledger = MongoClient(os.environ["MONGO_URL"]).get_default_database()["events"]
done = {d["_id"] for d in ledger.find({"_id": {"$in": ids}, "state": "done"}, {"_id": 1})}
print(json.dumps([id for id in ids if id not in done]))
"""


class Project:
    """compose: the command, such as ``docker compose``. Runs without any .env."""

    def __init__(self, compose: str) -> None:
        self.name = f"gateway-test-{uuid.uuid4().hex[:8]}"
        gateway, ops, sim = free_ports(3)
        self.url, self.ops_url, self.sim_url = (
            f"http://127.0.0.1:{port}" for port in (gateway, ops, sim)
        )
        self._command = [*compose.split(), "-p", self.name, "--env-file", "tests/docker/empty.env"]
        self.env = {
            "GATEWAY_PUBLISH": f"127.0.0.1:{gateway}",
            "OPS_PUBLISH": f"127.0.0.1:{ops}",
            "ROUTINGSIM_PUBLISH": f"127.0.0.1:{sim}",
        }

    def compose(self, *arguments: str, check: bool = True, text: str | None = None) -> str:
        done = run(*self._command, *arguments, env=self.env, check=check, text=text)
        return done.stdout

    def up(self, *options: str) -> None:
        """One command; returns when every health check has passed."""
        self.compose("up", "-d", *options)
        self.await_healthy()

    def await_healthy(self, *services: str) -> None:
        for service in services or SERVICES:
            await_true(partial(self.is_healthy, service), UP_SECONDS, f"{service} to be healthy")

    def remove(self) -> None:
        self.compose(
            "down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "5", check=False
        )

    def container(self, service: str) -> str:
        """Its container's id, running or not."""
        return self.compose("ps", "-a", "-q", service).strip()

    def state(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            docker("inspect", "-f", "{{json .State}}", self.container(service))
        )
        return found

    def health(self, service: str) -> str:
        state = self.state(service)
        return str(state["Health"]["Status"]) if state["Running"] else "not running"

    def is_healthy(self, service: str) -> bool:
        return self.health(service) == "healthy"

    def exec(self, service: str, *command: str, check: bool = True, text: str | None = None) -> str:
        return self.compose("exec", "-T", service, *command, check=check, text=text).strip()

    def kill(self, service: str) -> None:
        """`docker kill`: SIGKILL, after which the engine does not restart the container."""
        docker("kill", self.container(service))

    def logs(self, service: str) -> str:
        return docker("logs", self.container(service))

    def stat(self, name: str) -> int:
        """A counter of the queue, read with redis-cli as docs/operations.md shows."""
        return int(self.exec("redis", "redis-cli", "hget", "{gw:0}:stats", name) or 0)

    def unfinished(self, ids: list[str]) -> list[str]:
        found: list[str] = json.loads(
            self.exec("app", "python", "-c", UNFINISHED, text=json.dumps(ids))
        )
        return found
