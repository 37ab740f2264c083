"""Kills a stack's processes, and sees when what was killed answers again.

All times are seconds since 1970, as in what clients note.
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
from loadtest.harness.wait import BenchError, wait_until
from scheduler.connection import RedisConnection
from scheduler.errors import RedisUnavailable

STEADY_SECONDS = 2  # beyond every program's startsecs: a death is no failed start
LOOK_SECONDS = 0.005
REPLY_SECONDS = 0.1  # that a store has for an answer before it is asked anew


@dataclass(frozen=True)
class Back:
    """Away at the one time for certain, there at the other."""

    last_away: float
    answered: float


def pid(env: Environment, name: str) -> int:
    """Of a process of supervisord."""
    found = [each.pid for each in env.stack.supervisor.processes() if each.name == name]
    if not found or not found[0]:
        raise BenchError(f"{name} does not run")
    return found[0]


def everybody(env: Environment, *but: str) -> dict[int, str]:
    """All processes of the stack, children too, but those of some programs: pid -> its program."""
    return {pid: kind for pid, kind in processes.pids(env.stack) if kind not in but}


def settle(env: Environment, but: Collection[str] = ()) -> None:
    """Until every process has run for a while and has the children that it wants; ``but`` those
    that were stopped."""
    seen: dict[int, str] = {}
    since = 0.0

    def steady() -> bool:
        nonlocal seen, since
        found = [each for each in env.stack.supervisor.processes() if each.name not in but]
        running = bool(found) and all(each.state == "RUNNING" for each in found)
        now = everybody(env) if running else {}
        if now != seen:
            seen, since = now, time.monotonic()
        return running and time.monotonic() - since > STEADY_SECONDS

    wait_until(steady, 60, "every process to run for a while")


def kill(pid: int) -> tuple[float, float]:
    """With SIGKILL; when that was sent, and when it was over."""
    sent = time.time()
    os.kill(pid, signal.SIGKILL)
    while orphans.alive(pid):
        time.sleep(0)
    return sent, time.time()


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """With SIGSTOP, until the end of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: orphans.state(pid) == "T", 5, "a process to stop")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def redis_back(env: Environment, seconds: float = 30) -> Back:
    """Wait until a new connection gets an answer that is no LOADING."""

    def answers() -> bool:
        link = RedisConnection(env.stack.redis_url, REPLY_SECONDS)
        try:
            return bool(link.command("PING") == b"PONG")
        except RedisUnavailable:
            return False
        finally:
            link.close()

    return _back(answers, seconds, "Redis")


def mongod_back(env: Environment, look: Callable[[], object], seconds: float = 60) -> Back:
    """Wait until a new client gets an answer. (One that has seen it away asks twice a second.)
    look: is called before each try."""
    address = urlsplit(env.stack.mongo_url)

    def answers() -> bool:
        look()
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

    return _back(answers, seconds, "mongod")


def _back(answers: Callable[[], bool], seconds: float, who: str) -> Back:
    began = asked = time.time()
    while True:
        last_away, asked = asked, time.time()
        if answers():
            return Back(last_away, time.time())
        if asked > began + seconds:
            raise BenchError(f"{who} did not answer within {seconds:g} s")
        time.sleep(LOOK_SECONDS)


def moment(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """When the condition came to hold, seen within LOOK_SECONDS. Raises ``BenchError``."""
    deadline = time.time() + seconds
    while not condition():
        if time.time() > deadline:
            raise BenchError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(LOOK_SECONDS)
    return time.time()
