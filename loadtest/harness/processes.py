"""CPU and memory of a stack's processes, by kind, from /proc."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from gateway.stack import orphans
from gateway.stack.stack import Stack

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# In the order of an event's way.
KINDS = ("gateway", "worker-lookup", "worker-routing", "scheduler", "ops", "redis", "mongod")
OURS = KINDS[:5]
_NAME = re.compile(rb"\0SUPERVISOR_PROCESS_NAME=([a-z-]+)")


def pids(stack: Stack) -> list[tuple[int, str]]:
    """Every process of a program, whatever its kind."""
    return [(int(folder.name), kind) for kind, folder in _every(stack)]


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """Kind -> user and system time so far, over all its processes."""
    total: dict[str, float] = defaultdict(float)
    for kind, folder in _processes(stack):
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        total[kind] += (int(fields[11]) + int(fields[12])) / TICK
    return {kind: total[kind] for kind in KINDS}


def peak_mib(stack: Stack) -> dict[str, tuple[float, int]]:
    """Kind -> the most memory that one process of it ever had resident, and how many it has."""
    found: dict[str, list[float]] = defaultdict(list)
    for kind, folder in _processes(stack):
        peak = re.search(r"VmHWM:\s+(\d+) kB", (folder / "status").read_text())
        if peak:
            found[kind].append(int(peak[1]) / 1024)
    return {kind: (max(found[kind]), len(found[kind])) for kind in KINDS if found[kind]}


def resident_mib(stack: Stack) -> dict[tuple[str, int], float]:
    """(kind, pid) -> memory resident now, of every process and of supervisord."""
    found = {}
    supervisor = stack.supervisor.pid()
    every = [(kind, pid) for pid, kind in pids(stack)]
    for kind, pid in every + ([("supervisord", supervisor)] if supervisor else []):
        try:
            pages = int((Path("/proc") / str(pid) / "statm").read_text().split()[1])
        except OSError:  # it has ended
            continue
        found[kind, pid] = pages * PAGE / 2**20
    return found


def _processes(stack: Stack) -> Iterator[tuple[str, Path]]:
    return ((kind, folder) for kind, folder in _every(stack) if kind in KINDS)


def _every(stack: Stack) -> list[tuple[str, Path]]:
    """Children have the name of the program that started them: gunicorn's are all the gateway.
    Those that Redis forks while it rewrites its file are left out."""
    found = []
    for pid in orphans.find(stack.home):
        folder = Path("/proc") / str(pid)
        try:
            name = _NAME.search(b"\0" + (folder / "environ").read_bytes())
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        if name:
            found.append((name[1].decode(), folder, parent))
    redis = {int(folder.name) for kind, folder, _ in found if kind == "redis"}
    return [(kind, folder) for kind, folder, parent in found if parent not in redis]
