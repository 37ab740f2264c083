"""One open connection to Redis, spoken over its socket.

redis-py opens it, for it knows every form of URL, TLS, passwords and databases. From then on the
commands go through hiredis and the socket alone: what the client library does around them cost a
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

# Bytes a read: not below a record of TLS, or the rest of one could lie unseen. Larger: fewer reads
# for a batch of events. From 64 KiB on malloc tidies up its whole heap at each read.
CHUNK = 32_768
Arg = str | bytes | int | float


def pack(args: tuple[Arg, ...]) -> bytes:
    """A command as it goes over the wire."""
    packed: bytes = hiredis.pack_command(args)  # type: ignore[arg-type]
    return packed


class RespTransport:
    """RESP2. connection: one of redis-py's, connected. timeout: seconds for each wait."""

    def __init__(self, connection: Any, timeout: float) -> None:
        self._connection = connection
        self._socket = connection._sock  # redis-py has no public name for it
        self._reader = hiredis.Reader(replyError=ServerError)
        self._limit(timeout)
        self._poll = select.poll()  # not select(): a busy server's descriptors go beyond 1,024
        self._poll.register(self._socket, select.POLLIN)

    def send(self, packed: bytes) -> None:
        """Raises ``OSError``; the connection is of no use any more then."""
        try:
            self._socket.sendall(packed)
        except BlockingIOError:
            raise TimeoutError("Redis takes nothing") from None

    def receive(self, timeout: float) -> Any:
        """The next reply; an error is returned, not raised. Raises ``OSError``."""
        if timeout != self._timeout:
            self._limit(timeout)
        reader = self._reader
        while (reply := reader.gets()) is False:  # RESP2 has no booleans: no whole reply yet
            try:
                chunk = self._socket.recv(CHUNK)
            except BlockingIOError:
                raise TimeoutError("Redis does not answer") from None
            if not chunk:
                raise ConnectionError("closed by Redis")
            reader.feed(chunk)
        return reply

    def _limit(self, seconds: float) -> None:
        """Let no wait be longer.

        The kernel keeps the time where it can. Python's own timeout asks poll() before each call,
        which costs a seventh of a round trip; TLS needs it, for there one call may be many.
        """
        self._timeout = seconds
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.settimeout(seconds)
            return
        self._socket.settimeout(None)
        micros = max(1, round(1e6 * seconds))  # 0 would be for ever
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(
                socket.SOL_SOCKET, option, struct.pack("@ll", *divmod(micros, 1_000_000))
            )

    def readable(self, seconds: float) -> bool:
        """Whether a reply, or the end of the connection, arrives within that time."""
        return bool(self._poll.poll(1000 * seconds))

    def close(self) -> None:
        self._connection.disconnect()
