"""A gunicorn worker around meinheld's loop that stops without cutting a client off.

meinheld's own worker exits on SIGTERM and resets every connection it holds; and it replaces a
method of gunicorn's log in the master, which dies of that when it reports a killed worker.

Invariant: a worker that was told to stop accepts nothing more, answers whatever arrives on the
connections it has and says that each answer is the last one, and ends when no connection is left,
or after ``LINGER_SECONDS``. All of it happens in meinheld's loop, between two requests.

And it shares: the kernel wakes for a new connection the first idle process of a fixed order, so
that on a quiet day one process would get them all, and serve them one after another while the rest
sleep. Whoever has got one goes to the end of the queue.
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

from gateway.server.strict_http import Application, take_stale_error

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
        self._known: set[str] = set()  # ports of clients, of this second
        self._polls: list[select.epoll] | None = None
        server.run(self._sharing(self.wsgi))

    def handle_exit(self, sig: int, frame: object) -> None:
        """A signal before the loop has started: there is nothing to drain yet."""
        sys.exit(0)

    handle_quit = handle_exit

    def _tick(self) -> None:
        """meinheld calls it once a second, never while a request is served."""
        take_stale_error()
        self._known.clear()
        self.notify()
        if not self.alive:
            return
        pending = signal.sigpending()
        if pending & AT_ONCE or os.getppid() != self.ppid:
            self._drain(0)
        elif pending & GRACEFUL:
            self._drain(LINGER_SECONDS)

    def _sharing(self, app: Application) -> Application:
        known = self._known

        def served(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            port = environ["REMOTE_PORT"]
            if port not in known:
                known.add(port)
                self._queue_again()
            return app(environ, start_response)

        return served

    def _queue_again(self) -> None:
        """Go to the end of the queue for new connections. Nothing is missed: a socket on which one
        waits already is reported at once to whoever registers."""
        if self.alive:
            for listener, poll in self._listening():
                with contextlib.suppress(OSError):
                    poll.unregister(listener)
                    poll.register(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)

    def _listening(self) -> Iterator[tuple[int, select.epoll]]:
        """Each listening socket with meinheld's epoll, which it keeps to itself.

        When meinheld stops, it leaves the sockets in until they next become readable: then the
        kernel may wake this process for a connection that nobody takes.
        """
        if self._polls is None:
            self._polls = list(_epolls())
        return ((listener.fileno(), poll) for listener in self.sockets for poll in self._polls)

    def _drain(self, seconds: int) -> None:
        self.alive = False
        for listener, poll in self._listening():
            with contextlib.suppress(OSError):
                poll.unregister(listener)
        server.set_keepalive(0)  # from here on every answer says Connection: close
        server.stop(seconds)  # once only: a second call would miscount what is open


class _Errors:
    """What meinheld takes for a log."""

    @staticmethod
    def error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """An exception that nothing else has caught."""
        log.error("in meinheld", exc_info=(kind, error, trace))


def _epolls() -> Iterator[select.epoll]:
    """Those of this process; none where there is no such thing (macOS)."""
    for entry in _FDS.iterdir() if _FDS.is_dir() else ():
        with contextlib.suppress(OSError):  # closed meanwhile
            if str(entry.readlink()) == "anon_inode:[eventpoll]":
                yield select.epoll.fromfd(os.dup(int(entry.name)))
