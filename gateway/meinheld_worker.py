"""A gunicorn worker around meinheld's loop that stops without cutting a client off.

meinheld's own worker exits on SIGTERM and resets every connection it holds; and it replaces a
method of gunicorn's log in the master, which dies of that when it reports a killed worker.

Invariant: a worker that was told to stop accepts nothing more, answers whatever arrives on the
connections it has and says that each answer is the last one, and ends when no connection is left,
or after ``LINGER_SECONDS``. All of it happens in meinheld's loop, between two requests.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import sys
from pathlib import Path
from types import TracebackType

from gunicorn.workers.base import Worker
from meinheld import server

from gateway.strict_http import take_stale_error

# Longer: a courier that posts rarely on a connection of its own is more likely to get its last
# answer instead of a closed connection. Shorter: `supervisorctl restart gateway`, during which new
# connections wait in the kernel, is over sooner. meinheld's timers add up to a second.
LINGER_SECONDS = 1

GRACEFUL = frozenset({signal.SIGTERM})
AT_ONCE = frozenset({signal.SIGINT, signal.SIGQUIT})  # what was received is answered all the same

_FDS = Path("/proc/self/fd")

log = logging.getLogger(__name__)


class MeinheldWorker(Worker):  # type: ignore[misc]
    """Serves with meinheld, with a heartbeat that gunicorn can see."""

    def run(self) -> None:
        # meinheld puts handlers of its own into C, which reset connections. So the signals stay
        # pending, and the tick looks for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, GRACEFUL | AT_ONCE)
        server.set_access_logger(None)
        server.set_error_logger(_Errors)
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
        take_stale_error()
        self.notify()
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


class _Errors:
    """What meinheld takes for a log."""

    @staticmethod
    def error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """An exception that nothing else has caught."""
        log.error("in meinheld", exc_info=(kind, error, trace))


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
