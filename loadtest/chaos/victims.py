"""Finds the processes of a stack by the name of their program."""

from __future__ import annotations

from pathlib import Path

from gateway.local import orphans
from gateway.local.stack import Stack

_PROC = Path("/proc")


class Victims:
    """Only running processes that bear the mark of this stack: nobody else's is ever hit."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def of(self, program: str) -> dict[int, str]:
        """pid -> name of the running processes whose name starts so."""
        running = {process.pid: process.name for process in self._stack.supervisor.processes()
                   if process.name.startswith(program) and process.state == "RUNNING"}
        return {pid: running[pid] for pid in sorted(running.keys() & set(self.all()))}

    def edge_workers(self) -> dict[int, str]:
        """The children of gunicorn's master."""
        masters = self.of("gateway")
        return {pid: "gunicorn worker" for pid in self.all() if _parent(pid) in masters}

    def supervisord(self) -> dict[int, str]:
        pid = self._stack.supervisor.pid()
        return {pid: "supervisord"} if pid is not None and pid in self.all() else {}

    def all(self) -> list[int]:
        """Every process that is the stack's, also those of a supervisord that is gone."""
        return sorted(orphans.find(self._stack.home))


def _parent(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
