"""Waits until a stack is ready, and explains why if it does not become ready."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from gateway.stack.supervisor import Process, Supervisor

CRASHING_SECONDS = 8.0  # a program that has failed to start for so long is given up
POLL_SECONDS = 0.05
LOG_LINES = 12


class StackError(Exception):
    """The stack did not start or stop; ``str()`` says why, with the end of the program's log."""


def answers(url: str) -> bool:
    """Whether a GET request to this URL is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def wait(supervisor: Supervisor, ready: Callable[[], bool], timeout_seconds: float) -> None:
    """Wait until every process runs and ``ready()`` is true.

    Raises ``StackError`` after ``timeout_seconds``, or once a program has failed to start for
    CRASHING_SECONDS.
    """
    deadline = time.monotonic() + timeout_seconds
    crashing: dict[str, float] = {}  # program -> time of its first failure
    while True:
        processes = supervisor.processes()
        waiting = [process for process in processes if process.state != "RUNNING"]
        if processes and not waiting and ready():
            return
        now = time.monotonic()
        crashing = {
            process.name: crashing.get(process.name, now)
            for process in waiting
            if process.state in ("BACKOFF", "FATAL") or process.name in crashing
        }
        given_up = any(now - since > CRASHING_SECONDS for since in crashing.values())
        if given_up or now > deadline:
            raise StackError(_why_not(processes, supervisor, timeout_seconds))
        time.sleep(POLL_SECONDS)


def _why_not(processes: list[Process], supervisor: Supervisor, timeout_seconds: float) -> str:
    if not processes:
        log = supervisor.socket.with_name("supervisord.log")
        return f"supervisord does not run\n{_tail(log)}"
    failing = [process for process in processes if process.state != "RUNNING"]
    names = ", ".join(f"{process.name} is {process.state}" for process in failing)
    if not failing:
        names = f"every process runs, but the gateway is not ready after {timeout_seconds:g} s"
        failing = [process for process in processes if process.name == "gateway"]
    return "\n".join([names, *(f"--- {one.log.name}\n{_tail(one.log)}" for one in failing)])


def _tail(path: Path) -> str:
    try:
        lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    return "\n".join(lines[-LOG_LINES:]) or "(it wrote no log)"
