"""A gunicorn worker that runs meinheld's event loop, stops gracefully and shares connections.

meinheld's own worker exits on SIGTERM and resets every open connection. It also replaces a method
of gunicorn's logger in the master, which then crashes when it reports a killed worker.

Graceful stop. Invariant: a stopping worker accepts no new connection, answers every request that
arrives on its open connections with ``Connection: close``, and exits when no connection is left, or
after ``LINGER_SECONDS``. All of it happens in meinheld's loop, between two requests.

Sharing. For a new connection the kernel wakes the first idle process of a fixed order. At low load
one process would get all connections and serve their requests one after the other while the others
are idle. So a process that gets a connection moves to the end of that order.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from gunicorn.workers.base import Worker
from meinheld import server

from gateway.server.strict_http import Application

# Longer: a courier that posts rarely on a persistent connection is more likely to get one last
# answer instead of a closed connection. Shorter: `supervisorctl restart gateway`, during which new
# connections wait in the kernel, ends sooner. meinheld's timers add up to a second.
LINGER_SECONDS = 1

GRACEFUL = frozenset({signal.SIGTERM})
AT_ONCE = frozenset({signal.SIGINT, signal.SIGQUIT})  # requests already received are answered

_FILE_DESCRIPTORS = Path("/proc/self/fd")

log = logging.getLogger(__name__)


class MeinheldWorker(Worker):  # type: ignore[misc]
    """Runs meinheld and sends gunicorn its heartbeat."""

    def run(self) -> None:
        # meinheld's C code installs signal handlers that reset connections. So the signals are
        # blocked, and the tick checks for pending ones.
        signal.pthread_sigmask(signal.SIG_BLOCK, GRACEFUL | AT_ONCE)
        server.set_access_logger(None)
        server.set_error_logger(_Errors)
        server.set_keepalive(self.cfg.keepalive)
        server.set_picoev_max_fd(self.cfg.worker_connections)
        server.set_listen_socket([listener.fileno() for listener in self.sockets])
        server.set_watchdog(self._tick)
        self._client_ports: set[str] = set()  # seen since the last tick
        self._epolls: list[select.epoll] | None = None
        server.run(self._sharing(self.wsgi))

    def handle_exit(self, sig: int, frame: object) -> None:
        """A signal before the loop has started, when there is no connection to drain."""
        sys.exit(0)

    handle_quit = handle_exit

    def _tick(self) -> None:
        """Called by meinheld once a second, between requests."""
        clear_pending_exception()
        self._client_ports.clear()
        self.notify()
        if not self.alive:
            return
        pending = signal.sigpending()
        if pending & AT_ONCE or os.getppid() != self.ppid:
            self._drain(0)
        elif pending & GRACEFUL:
            self._drain(LINGER_SECONDS)

    def _sharing(self, app: Application) -> Application:
        client_ports = self._client_ports

        def served(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            # First of all: a method call reports a pending exception as its own, in code that the
            # interpreter has not specialised yet (in a process that is new).
            clear_pending_exception()
            port = environ["REMOTE_PORT"]
            if port not in client_ports:
                client_ports.add(port)
                self._move_to_end()
            return app(environ, start_response)

        return served

    def _move_to_end(self) -> None:
        """Move this process to the end of the kernel's order by registering its listening sockets
        again. No connection is missed: a registration reports at once one that already waits."""
        if self.alive:
            for listener, epoll in self._listening():
                with contextlib.suppress(OSError):
                    epoll.unregister(listener)
                    epoll.register(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)

    def _listening(self) -> Iterator[tuple[int, select.epoll]]:
        """Each listening socket with meinheld's epoll, which meinheld does not expose.

        A stopping meinheld leaves its listening sockets registered until they become readable, so
        the kernel might wake this process for a connection that it does not accept.
        """
        if self._epolls is None:
            self._epolls = list(_find_epolls())
        return ((listener.fileno(), epoll) for listener in self.sockets for epoll in self._epolls)

    def _drain(self, seconds: int) -> None:
        self.alive = False
        for listener, epoll in self._listening():
            with contextlib.suppress(OSError):
                epoll.unregister(listener)
        server.set_keepalive(0)  # every answer from now on has Connection: close
        server.stop(seconds)  # call it once: a second call corrupts its count of open connections


def clear_pending_exception() -> None:
    """Raise and drop the exception that meinheld may have left pending.

    A request for another protocol (Upgrade, CONNECT) sets an exception in meinheld's C code that
    nothing handles, and Python raises it later, during the next request.

    The end of a loop over an unspecialised iterator is the cheapest operation (60 ns) at which the
    interpreter checks for a pending exception.
    """
    try:
        for _ in "":
            pass
    except OSError:
        pass


class _Errors:
    """The error logger that meinheld expects."""

    @staticmethod
    def error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Log an exception that no other code has handled."""
        log.error("in meinheld", exc_info=(kind, error, trace))


def _find_epolls() -> Iterator[select.epoll]:
    """The epolls of this process; none on systems without epoll (macOS)."""
    for entry in _FILE_DESCRIPTORS.iterdir() if _FILE_DESCRIPTORS.is_dir() else ():
        with contextlib.suppress(OSError):  # closed since it was listed
            if str(entry.readlink()) == "anon_inode:[eventpoll]":
                yield select.epoll.fromfd(os.dup(int(entry.name)))
