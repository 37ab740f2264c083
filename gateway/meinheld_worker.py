"""meinheld's gunicorn worker, made to stop without cutting a client off.

As it comes, it exits on SIGTERM and resets every connection it holds. Invariant: a worker that
was told to stop accepts nothing more, answers whatever arrives on the connections it has and says
that each answer is the last one, and ends when no connection is left, or after
``LINGER_SECONDS``. All of it happens in meinheld's own loop, between two requests.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from pathlib import Path

from gunicorn.workers.base import Worker
from meinheld import server
from meinheld.gmeinheld import MeinheldWorker

# Longer: a courier that posts rarely on a connection of its own is more likely to get its last
# answer instead of a closed connection. Shorter: `supervisorctl restart gateway`, during which new
# connections wait in the kernel, is over sooner. meinheld's timers add up to a second.
LINGER_SECONDS = 1

GRACEFUL = frozenset({signal.SIGTERM})
AT_ONCE = frozenset({signal.SIGINT, signal.SIGQUIT})  # what was received is answered all the same

_FDS = Path("/proc/self/fd")


class DrainingMeinheldWorker(MeinheldWorker):  # type: ignore[misc]
    """``MeinheldWorker`` that drains, and whose heartbeat gunicorn can see."""

    def run(self) -> None:
        # meinheld puts handlers of its own into C, which reset connections. So the signals stay
        # pending, and the tick looks for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, GRACEFUL | AT_ONCE)
        server.set_keepalive(self.cfg.keepalive)
        server.set_picoev_max_fd(self.cfg.worker_connections)
        server.set_listen_socket([listener.fileno() for listener in self.sockets])
        server.set_watchdog(self._tick)
        server.run(self.wsgi)

    def handle_exit(self, sig: int, frame: object) -> None:
        """A signal before the loop has started: there is nothing to drain yet."""
        sys.exit(0)

    handle_quit = handle_exit

    def _tick(self) -> None:
        """meinheld calls it once a second, never while a request is served."""
        Worker.notify(self)
        if not self.alive:
            return
        pending = signal.sigpending()
        if pending & AT_ONCE or os.getppid() != self.ppid:
            self._drain(0)
        elif pending & GRACEFUL:
            self._drain(LINGER_SECONDS)

    def _drain(self, seconds: int) -> None:
        self.alive = False
        for listener in self.sockets:
            _forget(listener.fileno())
        server.set_keepalive(0)  # from here on every answer says Connection: close
        server.stop(seconds)  # once only: a second call would miscount what is open


def _forget(listener: int) -> None:
    """Take a listening socket out of meinheld's epoll.

    meinheld's own stop leaves it in until it next becomes readable. The kernel wakes one process
    for a new connection; if that were this one, nobody would take it.
    """
    for entry in _FDS.iterdir() if _FDS.is_dir() else ():
        with contextlib.suppress(OSError):  # closed meanwhile, or an epoll without that socket
            if str(entry.readlink()) == "anon_inode:[eventpoll]":
                with select.epoll.fromfd(os.dup(int(entry.name))) as poll:
                    poll.unregister(listener)
