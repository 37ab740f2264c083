"""Finds the processes of a stack by the name of their program."""

from __future__ import annotations

import threading
import time

from gateway.stack import orphans
from gateway.stack.stack import Stack
from gateway.stack.supervisor import Process
from loadtest.harness.processes import children

CACHE_SECONDS = 0.1  # many faults may wait for their targets at once: they share one look
# A process that has not begun to work is no target: on a busy machine every process would be hit
# again and again while it starts, and none would hold an event that could be lost.
SETTLED_SECONDS = 3


class Targets:
    """Only running processes that bear the mark of this stack: no other process is ever hit."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._lock = threading.Lock()
        self._seen: list[Process] = []
        self._seen_at = 0.0

    def of(self, program: str) -> dict[int, str]:
        """pid -> name of the processes whose name starts so and that have run for a while."""
        return self._marked(
            {
                process.pid: process.name
                for process in self._processes()
                if process.name.startswith(program)
                and process.state == "RUNNING"
                and process.seconds_in_state >= SETTLED_SECONDS
            }
        )

    def edge_workers(self) -> dict[int, str]:
        """The children of gunicorn's master."""
        return self._marked(
            {pid: "gunicorn worker" for master in self.of("gateway") for pid in children(master)}
        )

    def supervisord(self) -> dict[int, str]:
        pid = self._stack.supervisor.pid()
        return {} if pid is None else self._marked({pid: "supervisord"})

    def all(self) -> list[int]:
        """Every process of the stack, also those of a supervisord that was killed."""
        return sorted(orphans.find(self._stack.home))

    def has(self, pid: int) -> bool:
        return orphans.belongs(pid, self._stack.home)

    def _marked(self, found: dict[int, str]) -> dict[int, str]:
        return {pid: found[pid] for pid in sorted(found) if self.has(pid)}

    def _processes(self) -> list[Process]:
        with self._lock:
            if time.monotonic() - self._seen_at > CACHE_SECONDS:
                self._seen = self._stack.supervisor.processes()
                self._seen_at = time.monotonic()
            return self._seen
