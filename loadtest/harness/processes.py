"""The processes of a stack, by kind, with their CPU and memory, from /proc."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path

from gateway.stack import orphans
from gateway.stack.stack import Stack

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# In the order in which an event meets them.
KINDS = ("gateway", "worker-lookup", "worker-routing", "scheduler", "ops", "redis", "mongod")
OURS = KINDS[:5]
_PROC = Path("/proc")
_NAME = re.compile(rb"\0SUPERVISOR_PROCESS_NAME=([a-z-]+)")


def pids(stack: Stack) -> dict[int, str]:
    """Every process of a program of the stack -> the program's name, its kind.

    Children have the name of the program that started them: gunicorn's are all the gateway. Those
    that Redis forks while it rewrites its file are left out.
    """
    found, parents = {}, {}
    for pid in orphans.find(stack.home):
        try:
            name = _NAME.search(b"\0" + (_PROC / str(pid) / "environ").read_bytes())
            parents[pid] = int(_stat(pid)[1])
        except OSError:  # it has ended
            continue
        if name:
            found[pid] = name[1].decode()
    redis = {pid for pid, kind in found.items() if kind == "redis"}
    return {pid: kind for pid, kind in found.items() if parents[pid] not in redis}


def children(pid: int) -> list[int]:
    """The children of a process's main thread; empty if the process has ended."""
    try:
        text = (_PROC / str(pid) / "task" / str(pid) / "children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """Kind -> user and system time so far, over all its processes."""
    total = dict.fromkeys(KINDS, 0.0)
    for pid, kind in pids(stack).items():
        if kind in total:
            fields = _stat(pid)
            total[kind] += (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
    return total


def peak_mib(stack: Stack) -> dict[str, tuple[float, int]]:
    """Kind -> the most memory that one process of it ever had resident, and how many it has."""
    found: dict[str, list[float]] = defaultdict(list)
    for pid, kind in pids(stack).items():
        peak = re.search(r"VmHWM:\s+(\d+) kB", (_PROC / str(pid) / "status").read_text())
        if peak:
            found[kind].append(int(peak[1]) / 1024)
    return {kind: (max(found[kind]), len(found[kind])) for kind in KINDS if found[kind]}


def resident_mib(stack: Stack) -> dict[tuple[str, int], float]:
    """(kind, pid) -> memory resident now, of every process and of supervisord."""
    every = pids(stack)
    if supervisor := stack.supervisor.pid():
        every[supervisor] = "supervisord"
    found = {}
    for pid, kind in every.items():
        try:
            pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
        except OSError:  # it has ended
            continue
        found[kind, pid] = pages * PAGE_BYTES / 2**20
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third on, the state. Raises ``OSError``."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
