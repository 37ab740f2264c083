"""Talks to the supervisord of one stack, through its unix socket."""

from __future__ import annotations

import http.client
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

_AWAY = (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError)


@dataclass(frozen=True)
class Process:
    """What supervisord says about one process; ``state`` as `supervisorctl status` prints it.

    pid: 0 while it does not run. since: seconds in that state.
    """

    name: str
    pid: int
    state: str
    since: int
    log: Path


class Supervisor:
    """Answers nothing and raises nothing while no supervisord listens there."""

    def __init__(self, home: Path) -> None:
        self.socket = home / ".run" / "supervisor.sock"

    def pid(self) -> int | None:
        """The pid of the supervisord that answers, None if none does."""
        try:
            return int(self._rpc().getPID())
        except _AWAY:
            return None

    def processes(self) -> list[Process]:
        """All processes it has; none while it does not answer."""
        try:
            answer = self._rpc().getAllProcessInfo()
        except (*_AWAY, xmlrpc.client.Fault):  # a fault: it is stopping
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

    def _rpc(self) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor
