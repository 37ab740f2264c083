"""A supervisord plugin: a process that exits is restarted at once, not after one to two seconds.

supervisord's event loop runs once a second, or when a file descriptor that it polls is readable. It
notices an exit in one iteration and restarts the process in a later one; a worker's leases and due
retries wait that long. This plugin makes a pipe readable at both moments: the kernel writes each
signal (SIGCHLD among them) to it, and so does the change of a process's state to EXITED.

It is loaded as an RPC interface, supervisord's only extension point, and adds no methods. If it
fails, restarts are as slow as without it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

from supervisor import events


class WakeUpPipe:
    """A pipe in supervisord's poll loop; implements its dispatcher interface."""

    def __init__(self, socket_map: dict[int, Any]) -> None:
        self._read_end, self._write_end = os.pipe()
        for end in (self._read_end, self._write_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        socket_map[self._read_end] = self

    def remove(self, socket_map: dict[int, Any]) -> None:
        """After a `reload`, which closes every file: the descriptors may already be reused."""
        if socket_map.get(self._read_end) is self:
            del socket_map[self._read_end]

    def wake(self, _event: object = None) -> None:
        """Make supervisord's loop run at once."""
        with contextlib.suppress(BlockingIOError):  # the pipe is full: the loop will run anyway
            os.write(self._write_end, b"\0")

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        os.read(self._read_end, 4096)

    def handle_error(self) -> None:
        """Ignore it: the read may find nothing."""


class NoInterface:
    """The RPC interface without methods that supervisord requires."""


_pipes: list[WakeUpPipe] = []


def install(supervisord: Any) -> NoInterface:
    """The factory that [rpcinterface:…] names; called again at a `reload`, in the main thread."""
    socket_map = supervisord.options.get_socket_map()
    while _pipes:
        _pipes.pop().remove(socket_map)
    _pipes.append(WakeUpPipe(socket_map))
    events.subscribe(events.ProcessStateExitedEvent, _pipes[0].wake)
    return NoInterface()
