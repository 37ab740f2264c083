"""Kills and stops a stack's processes, and sees when a store answers again.

All times are seconds since 1970, as in the history.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from gateway.stack import orphans
from loadtest.harness import processes
from loadtest.harness.environment import Environment
from loadtest.harness.wait import RunFailed, wait_until
from scheduler.connection import RedisConnection
from scheduler.errors import RedisUnavailable

STEADY_SECONDS = 2  # beyond every program's startsecs: no kill counts as a failed start
POLL_SECONDS = 0.005
REPLY_SECONDS = 0.1  # for a store to answer before it is asked again


@dataclass(frozen=True)
class Return:
    """When a store was last seen unavailable, and when it answered again."""

    last_unavailable: float
    answered: float


def pid(env: Environment, name: str) -> int:
    """The pid of a program that supervisord runs. Raises ``RunFailed`` if it does not run."""
    found = [each.pid for each in env.stack.supervisor.processes() if each.name == name]
    if not found or not found[0]:
        raise RunFailed(f"{name} does not run")
    return found[0]


def all_processes(env: Environment, *without: str) -> dict[int, str]:
    """pid -> program, of every process of the stack; those of the programs ``without`` are left
    out."""
    return {pid: kind for pid, kind in processes.pids(env.stack).items() if kind not in without}


def settle(env: Environment, stopped: Collection[str] = ()) -> None:
    """Wait until every process has run for a while with the same children. stopped: the processes
    that do not run."""
    seen: dict[int, str] = {}
    since = 0.0

    def steady() -> bool:
        nonlocal seen, since
        found = [each for each in env.stack.supervisor.processes() if each.name not in stopped]
        running = bool(found) and all(each.state == "RUNNING" for each in found)
        now = all_processes(env) if running else {}
        if now != seen:
            seen, since = now, time.monotonic()
        return running and time.monotonic() - since > STEADY_SECONDS

    wait_until(steady, 60, "every process to run for a while")


def kill(pid: int) -> tuple[float, float]:
    """Send SIGKILL. Returns when it was sent and when the process had ended."""
    sent = time.time()
    os.kill(pid, signal.SIGKILL)
    while orphans.alive(pid):
        time.sleep(0)
    return sent, time.time()


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process is stopped (SIGSTOP) until the end of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: orphans.state(pid) == "T", 5, "a process to stop")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def redis_returned(env: Environment, seconds: float = 30) -> Return:
    """Wait until a new connection gets an answer that is no LOADING."""

    def answers() -> bool:
        connection = RedisConnection(env.stack.redis_url, REPLY_SECONDS)
        try:
            return bool(connection.command("PING") == b"PONG")
        except RedisUnavailable:
            return False
        finally:
            connection.close()

    return _returned(answers, seconds, "Redis")


def mongod_returned(
    env: Environment, before_each: Callable[[], object], seconds: float = 60
) -> Return:
    """Wait until a new client gets an answer: one that has seen it unavailable asks twice a second
    only. before_each: is called before each try."""
    address = urlsplit(env.stack.mongo_url)

    def answers() -> bool:
        before_each()
        try:
            socket.create_connection((address.hostname or "", address.port or 0), 1).close()
        except OSError:
            return False
        client: MongoClient[dict[str, Any]] = MongoClient(
            env.stack.mongo_url, serverSelectionTimeoutMS=round(REPLY_SECONDS * 1000)
        )
        try:
            return bool(client.admin.command("ping")["ok"])
        except PyMongoError:
            return False
        finally:
            client.close()

    return _returned(answers, seconds, "mongod")


def _returned(answers: Callable[[], bool], seconds: float, store: str) -> Return:
    last_unavailable = asked = time.time()

    def back() -> bool:
        nonlocal last_unavailable, asked
        last_unavailable, asked = asked, time.time()
        return answers()

    answered = wait_until(back, seconds, f"{store} to answer", poll_seconds=POLL_SECONDS)
    return Return(last_unavailable, answered)
