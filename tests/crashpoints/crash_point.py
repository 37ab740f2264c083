"""A process that is killed at its n-th step: SIGKILL by its own hand, in the middle of an I/O.

A step is a request on any socket of this process: to Redis, to MongoDB, to the Routing Service, or
an answer to a courier. The sockets themselves are wrapped, below every client, so that whatever the
product sends is seen, with whichever library, and nothing need be listed here.

Before a step: nothing of it was sent. After it: the server has executed and answered it, and the
client never sees the answer. What lies between two steps is the process's own memory, which dies
with it: these are all the places at which a death can make a difference to anybody else.
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

from tests.crashpoints import wire_protocol

SENDING = ("send", "sendall", "sendto", "sendmsg")
READING = ("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into")

# Threads that carry no event, by the beginnings of their names: the worker's heartbeat and the
# driver's monitors. They tick by the clock, so counting them would make the n-th step another one
# in each run. All others are counted, unknown ones as well.
BACKGROUND = ("heartbeat", "pymongo_")

ANSWER_SECONDS = 20.0


@dataclass(frozen=True)
class Death:
    """Before or after that step, counted from 1."""

    step: int
    after: bool

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} step {self.step}"


def deaths() -> Iterator[Death]:
    """Every one that there is, until somebody gets through alive."""
    for step in itertools.count(1):
        yield Death(step, after=False)
        yield Death(step, after=True)


class Mortal:
    """This process, from ``begin`` to ``end``. journal: gets (number, name) of every step before it
    is made; number 0 for what background threads send."""

    def __init__(self, death: Death | None, journal: Connection) -> None:
        self._death, self._journal = death, journal
        self._lock = threading.Lock()
        self._steps = 0
        self._unanswered: dict[socket.socket, int] = {}

    def begin(self) -> None:
        """Wrap every socket of this process, those to come as well."""
        for method in SENDING:
            self._wrap(method, self._sends)
        for method in READING:
            self._wrap(method, self._reads)

    def end(self) -> None:
        """Die after a step whose answer nobody came to read, if it is the one to die after."""
        if any(self._death == Death(step, after=True) for step in self._unanswered.values()):
            _die()

    @staticmethod
    def _wrap(method: str, first: Callable[..., None]) -> None:
        real = getattr(socket.socket, method)

        def wrapped(sock: socket.socket, *args: Any) -> Any:
            first(sock, *args)
            return real(sock, *args)

        setattr(socket.socket, method, wrapped)

    def _sends(self, sock: socket.socket, data: Any, *_: Any) -> None:
        """A request may go out in parts (head, body): one step, until its answer is read."""
        background = threading.current_thread().name.startswith(BACKGROUND)
        with self._lock:
            if not background and sock in self._unanswered:
                return
            name = wire_protocol.name(b"".join(data) if isinstance(data, list) else bytes(data))
            if name in wire_protocol.GREETINGS:
                return
            if background:
                self._journal.send((0, name))
                return
            self._steps += 1
            self._journal.send((self._steps, name))
            self._unanswered[sock] = self._steps
            if self._death == Death(self._steps, after=False):
                _die()

    def _reads(self, sock: socket.socket, *_: Any) -> None:
        if threading.current_thread().name.startswith(BACKGROUND):
            return
        step = self._unanswered.pop(sock, None)
        if step is not None and self._death == Death(step, after=True):
            assert select.select([sock], [], [], ANSWER_SECONDS)[0], f"no answer to step {step}"
            _die()


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    while True:  # the signal ends all threads; this one must do nothing more until then
        time.sleep(1)
