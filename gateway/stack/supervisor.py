"""A client of one stack's supervisord, over its unix socket."""

from __future__ import annotations

import http.client
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

_UNAVAILABLE = (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError)


@dataclass(frozen=True)
class Process:
    """One process; ``state`` as `supervisorctl status` prints it.

    pid: 0 while it does not run. seconds_in_state: how long it has been in ``state``.
    """

    name: str
    pid: int
    state: str
    seconds_in_state: int
    log: Path


class Supervisor:
    """Methods return None or an empty list, and never raise, while supervisord is unavailable."""

    def __init__(self, home: Path) -> None:
        self.socket = home / ".run" / "supervisor.sock"

    def pid(self) -> int | None:
        """supervisord's pid; None if it is unavailable."""
        try:
            with self._rpc() as supervisord:
                return int(supervisord.getPID())
        except _UNAVAILABLE:
            return None

    def processes(self) -> list[Process]:
        """All processes of supervisord; empty if it is unavailable."""
        try:
            with self._rpc() as supervisord:
                answer = supervisord.getAllProcessInfo()
        except (*_UNAVAILABLE, xmlrpc.client.Fault):  # Fault: supervisord is stopping
            return []
        return [
            Process(
                item["name"],
                item["pid"],
                item["statename"],
                item["now"] - item["start"],
                Path(item["stdout_logfile"]),
            )
            for item in answer
        ]

    @contextmanager
    def _rpc(self) -> Iterator[Any]:
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            yield proxy.supervisor
