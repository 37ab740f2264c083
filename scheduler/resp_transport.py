"""RESP2 over the socket of a connection that redis-py has opened.

redis-py connects, because it supports every form of URL, TLS, passwords and databases. Commands
then use hiredis and the socket directly: the client library's own work around each command takes a
fifth of the CPU that an edge process spends on an accepted event.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
from typing import Any

import hiredis

from scheduler.errors import ServerError

# Not below a TLS record (16 KiB), or poll() could miss the rest of one. Larger: fewer reads for a
# batch of events. From 64 KiB on, malloc consolidates its whole heap at each read.
READ_BYTES = 32_768
Arg = str | bytes | int | float


def pack(args: tuple[Arg, ...]) -> bytes:
    """A command in RESP2."""
    packed: bytes = hiredis.pack_command(args)  # type: ignore[arg-type]
    return packed


class RespTransport:
    """connection: a connected ``redis.connection.Connection``. timeout_seconds: for each wait."""

    def __init__(self, connection: Any, timeout_seconds: float) -> None:
        self._connection = connection
        self._socket = connection._sock  # redis-py has no public name for it
        self._reader = hiredis.Reader(replyError=ServerError)
        self._set_timeout(timeout_seconds)
        self._poll = select.poll()  # not select(), which is limited to descriptors below 1,024
        self._poll.register(self._socket, select.POLLIN)

    def send(self, packed: bytes) -> None:
        """Raises ``OSError``; the connection must then be closed."""
        try:
            self._socket.sendall(packed)
        except BlockingIOError:
            raise TimeoutError("Redis does not read") from None

    def receive(self, timeout_seconds: float) -> Any:
        """The next reply; a ``ServerError`` is returned, not raised. Raises ``OSError``."""
        if timeout_seconds != self._timeout_seconds:
            self._set_timeout(timeout_seconds)
        reader = self._reader
        while (reply := reader.gets()) is False:  # no whole reply yet (RESP2 has no booleans)
            try:
                chunk = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                raise TimeoutError("Redis does not answer") from None
            if not chunk:
                raise ConnectionError("closed by Redis")
            reader.feed(chunk)
        return reply

    def _set_timeout(self, seconds: float) -> None:
        """Limit each wait.

        Plain sockets use the kernel's timeout: Python's own calls poll() before each read and
        write, which costs a seventh of a round trip. TLS needs Python's, because one of its calls
        may read and write several times.
        """
        self._timeout_seconds = seconds
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.settimeout(seconds)
            return
        self._socket.settimeout(None)
        micros = max(1, round(1e6 * seconds))  # 0 means no timeout
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(
                socket.SOL_SOCKET, option, struct.pack("@ll", *divmod(micros, 1_000_000))
            )

    def readable(self, seconds: float) -> bool:
        """Whether a reply, or the end of the connection, arrives within ``seconds``."""
        return bool(self._poll.poll(1000 * seconds))

    def close(self) -> None:
        self._connection.disconnect()
