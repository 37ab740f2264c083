"""Processes of a stack whose supervisord was killed: they hold its ports and its data.

Our own processes end by themselves then; Redis, MongoDB and gunicorn know nothing of supervisord.
They are told by the STACK_HOME in their environment, which only Linux lets us read.
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
    """The pids of the processes that belong to the stack in ``home``, but to no session of ours."""
    return [pid for pid in _pids() if pid != os.getpid() and belongs(pid, home)]


def belongs(pid: int, home: Path) -> bool:
    """Whether a process bears the mark of the stack in ``home``."""
    return f"{HOME_VARIABLE}={home}".encode() in _environ(pid)


def stop(home: Path) -> list[int]:
    """End them, with SIGTERM and after a while with SIGKILL; answers which there were."""
    ended = find(home)
    deadline = time.monotonic() + STOP_SECONDS
    _signal(ended, signal.SIGTERM)
    while find(home) and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal(find(home), signal.SIGKILL)
    return ended


def alive(pid: int) -> bool:
    """Whether a process is there and no mere zombie, which a container without init keeps."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return state(pid) != "Z"


def state(pid: int) -> str:
    """As `ps` prints it; empty where it is not told."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def _pids() -> list[int]:
    return [int(entry.name) for entry in PROC.glob("[0-9]*")] if PROC.is_dir() else []


def _environ(pid: int) -> list[bytes]:
    try:
        return (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # gone, or another user's
        return []


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
