"""One open connection to Redis, spoken over its socket.

redis-py opens it, for it knows every form of URL, TLS, passwords and databases. From then on the
commands go through hiredis and the socket alone: what the client library does around them cost a
fifth of the CPU that an edge process spends on an accepted event.
"""

from __future__ import annotations

import select
from typing import Any

import hiredis

from scheduler.errors import ServerError

CHUNK = 65536  # bytes a read. Not below a record of TLS, or the rest of one could lie unseen
Arg = str | bytes | int | float


class Wire:
    """RESP2. connection: one of redis-py's, connected. timeout: seconds for each wait."""

    def __init__(self, connection: Any, timeout: float) -> None:
        self._connection = connection
        self._socket = connection._sock  # redis-py has no public name for it
        self._reader = hiredis.Reader(replyError=ServerError)
        self._timeout = timeout
        self._socket.settimeout(timeout)
        self._poll = select.poll()  # not select(): a busy server's descriptors go beyond 1,024
        self._poll.register(self._socket, select.POLLIN)

    def send(self, args: tuple[Arg, ...]) -> None:
        """Raises ``OSError``; the connection is of no use any more then."""
        self._socket.sendall(hiredis.pack_command(args))  # type: ignore[arg-type]

    def receive(self, timeout: float) -> Any:
        """The next reply; an error is returned, not raised. Raises ``OSError``."""
        if timeout != self._timeout:
            self._socket.settimeout(timeout)
            self._timeout = timeout
        reader = self._reader
        while (reply := reader.gets()) is False:  # RESP2 has no booleans: no whole reply yet
            chunk = self._socket.recv(CHUNK)
            if not chunk:
                raise ConnectionError("closed by Redis")
            reader.feed(chunk)
        return reply

    def readable(self, seconds: float) -> bool:
        """Whether a reply, or the end of the connection, arrives within that time."""
        return bool(self._poll.poll(1000 * seconds))

    def close(self) -> None:
        self._connection.disconnect()
