"""Crash points: a process kills itself with SIGKILL before or after the n-th message that it sends.

A message is a request to Redis, MongoDB or the Routing Service, or an edge's reply to a courier.
Python's sockets are wrapped, below every client library, so that every message is counted and no
list of them has to be kept here.

Before a message: nothing of it was sent. After it: the server has executed and answered it, and the
process never reads the reply. Between two messages a process changes only its own memory, which is
lost with it: no crash at any other place has a different effect.
"""

from __future__ import annotations

import itertools
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from tests.crashpoints import message_names

SEND_METHODS = ("send", "sendall", "sendto", "sendmsg")
RECEIVE_METHODS = ("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into")

# The beginnings of the names of threads that process no event: the worker's heartbeat and the
# driver's monitors. They send at times of their own, so with them the n-th message would differ
# from run to run. The messages of all other threads are counted.
BACKGROUND_THREADS = ("heartbeat", "pymongo_")

REPLY_SECONDS = 20.0


@dataclass(frozen=True)
class CrashPoint:
    """message: counted from 1."""

    message: int
    after: bool

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} message {self.message}"


def crash_points() -> Iterator[CrashPoint]:
    """All of them in order, without end: stop at the first that a process does not reach."""
    for message in itertools.count(1):
        yield CrashPoint(message, after=False)
        yield CrashPoint(message, after=True)


class CrashInjector:
    """Counts this process's messages from ``begin`` to ``end``, and kills it at the crash point.

    journal: receives (number, name) of every message before it is sent; number 0 for those of
    background threads.
    """

    def __init__(self, crash_point: CrashPoint | None, journal: Connection) -> None:
        self._crash_point, self._journal = crash_point, journal
        self._lock = threading.Lock()
        self._count = 0
        self._unanswered: dict[socket.socket, int] = {}

    def begin(self) -> None:
        """Wrap the methods of every socket, present and future."""
        for method in SEND_METHODS:
            self._wrap(method, self._before_send)
        for method in RECEIVE_METHODS:
            self._wrap(method, self._before_receive)

    def end(self) -> None:
        """Crash after a message whose reply the process did not read, if that is the point."""
        if any(self._is_after(message) for message in self._unanswered.values()):
            _kill_self()

    def _is_after(self, message: int) -> bool:
        return self._crash_point == CrashPoint(message, after=True)

    @staticmethod
    def _wrap(method: str, before: Callable[..., None]) -> None:
        original = getattr(socket.socket, method)

        def wrapped(sock: socket.socket, *args: Any) -> Any:
            before(sock, *args)
            return original(sock, *args)

        setattr(socket.socket, method, wrapped)

    def _before_send(self, sock: socket.socket, data: Any, *_: Any) -> None:
        """What is sent until the reply is read is one message: a request may be sent in parts."""
        background = threading.current_thread().name.startswith(BACKGROUND_THREADS)
        with self._lock:
            if not background and sock in self._unanswered:
                return
            name = message_names.name(b"".join(data) if isinstance(data, list) else bytes(data))
            if name in message_names.HANDSHAKES:
                return
            if background:
                self._journal.send((0, name))
                return
            self._count += 1
            self._journal.send((self._count, name))
            self._unanswered[sock] = self._count
            if self._crash_point == CrashPoint(self._count, after=False):
                _kill_self()

    def _before_receive(self, sock: socket.socket, *_: Any) -> None:
        if threading.current_thread().name.startswith(BACKGROUND_THREADS):
            return
        message = self._unanswered.pop(sock, None)
        if message is not None and self._is_after(message):
            replied = select.select([sock], [], [], REPLY_SECONDS)[0]
            assert replied, f"no reply to message {message}"
            _kill_self()


def _kill_self() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    while True:  # this thread must do nothing more until the signal takes effect
        time.sleep(1)
