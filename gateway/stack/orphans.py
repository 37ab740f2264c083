"""Finds and stops the processes of a stack whose supervisord was killed.

Our own processes exit when supervisord dies; Redis, MongoDB and gunicorn do not, and keep its ports
and data. STACK_HOME in their environment identifies them; only Linux lets us read it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from gateway.stack.environment import HOME_VARIABLE

STOP_SECONDS = 30
PROC = Path("/proc")


def find(home: Path) -> list[int]:
    """The pids of the stack's processes, without this one."""
    return [pid for pid in _pids() if pid != os.getpid() and belongs(pid, home)]


def belongs(pid: int, home: Path) -> bool:
    """Whether a process belongs to the stack in ``home``."""
    return f"{HOME_VARIABLE}={home}".encode() in _environ(pid)


def stop(home: Path) -> list[int]:
    """Stop them by SIGTERM and, after STOP_SECONDS, SIGKILL; returns their pids."""
    found = find(home)
    deadline = time.monotonic() + STOP_SECONDS
    _signal(found, signal.SIGTERM)
    while find(home) and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal(find(home), signal.SIGKILL)
    return found


def alive(pid: int) -> bool:
    """Whether a process runs. A zombie does not: a container without an init keeps them."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return state(pid) != "Z"


def state(pid: int) -> str:
    """The state letter that `ps` prints; empty if unknown."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def _pids() -> list[int]:
    return [int(entry.name) for entry in PROC.glob("[0-9]*")] if PROC.is_dir() else []


def _environ(pid: int) -> list[bytes]:
    try:
        return (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # it has exited, or is another user's
        return []


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
