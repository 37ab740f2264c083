"""Reads the accounts that the checker compares, and the versions of what ran."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import urllib3
from pymongo.database import Database

from gateway.stack.stack import Stack
from loadtest.harness.history import Answer
from loadtest.load.checker import Accounts, Entry
from scheduler.connection import RedisConnection

Document = dict[str, Any]


def accounts(answers: list[Answer], database: Database[Document], stack: Stack) -> Accounts:
    """Everything at its end: to be read when nothing is under way any more."""
    ledger = {d["_id"]: _entry(d) for d in database["events"].find()}
    applied = {
        d["_id"]: int(d["events_applied"] or 0)
        for d in database["shipments"].find({}, {"events_applied": 1})
    }
    return Accounts(answers, ledger, applied, simulator(stack, "/stats/keys"))


def _entry(d: Document) -> Entry:
    seconds = None
    if "done_at" in d:
        seconds = (d["done_at"] - d["received_at"]).total_seconds()
    decision = d.get("decision") or {}
    return Entry(
        str(d["state"]),
        bool(decision.get("route")),
        int(d.get("attempts") or 0),
        str(d.get("outcome", "")),
        seconds,
    )


def simulator(stack: Stack, path: str) -> dict[str, Any]:
    """What the Routing Service counted."""
    answer: dict[str, Any] = urllib3.request("GET", f"{stack.routing_url}{path}").json()
    return answer


def versions(stack: Stack, database: Database[Document]) -> dict[str, str]:
    """What ran, and on what. Names neither the host nor any path."""
    link = RedisConnection(stack.redis_url)
    info = dict(
        line.split(":", 1)
        for line in link.command("INFO", "server").decode().splitlines()
        if ":" in line
    )
    fsync = link.command("CONFIG", "GET", "appendfsync")[1].decode()
    link.close()
    return {
        "cores": str(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        ),
        "load average at the end": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "redis": f"{info['redis_version']}, appendfsync {fsync}",
        "mongod": str(database.client.server_info()["version"]),
        **{
            package: _version(package)
            for package in ("locust", "gunicorn", "meinheld", "falcon", "redis-py", "pymongo")
        },
    }


def _version(package: str) -> str:
    try:
        return version("redis" if package == "redis-py" else package)
    except PackageNotFoundError:
        return "not installed"
