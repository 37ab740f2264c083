"""A plugin of supervisord: what died is started anew at once, not at the look after the next.

supervisord looks after its processes once a second, or when one of the files that it watches has
something to read. A death is first noticed at one look, and the new start is made at a later one:
one to two seconds for which a worker's leases, or the retries that are due, wait. Here both ask
for a look at once: the kernel writes each signal (SIGCHLD among them) to a pipe that supervisord
watches, and so does the change of a process to EXITED.

It is loaded as an RPC interface, the one door for code of one's own that supervisord has, and
offers none. Whatever fails here only makes a restart as late as it would be without.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

from supervisor import events


class Bell:
    """A watched pipe; to supervisord's loop something that can be read."""

    def __init__(self, watched: dict[int, Any]) -> None:
        self._outlet, self._inlet = os.pipe()
        for end in (self._outlet, self._inlet):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._inlet, warn_on_full_buffer=False)
        watched[self._outlet] = self

    def forget(self, watched: dict[int, Any]) -> None:
        """After a `reload`, which has closed every file: the numbers may be others' already."""
        if watched.get(self._outlet) is self:
            del watched[self._outlet]

    def ring(self, _event: object = None) -> None:
        """Have supervisord look at once."""
        with contextlib.suppress(BlockingIOError):  # full: it is about to look
            os.write(self._inlet, b"\0")

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        os.read(self._outlet, 4096)

    def handle_error(self) -> None:
        """Nothing to read, perhaps."""


class NoInterface:
    """What supervisord publishes for this part: nothing."""


_bells: list[Bell] = []


def install(supervisord: Any) -> NoInterface:
    """Called by supervisord while it starts, in its main thread; at a `reload` once more."""
    watched = supervisord.options.get_socket_map()
    while _bells:
        _bells.pop().forget(watched)
    _bells.append(Bell(watched))
    events.subscribe(events.ProcessStateExitedEvent, _bells[0].ring)
    return NoInterface()
