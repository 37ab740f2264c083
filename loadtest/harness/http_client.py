"""The HTTP client that posts signed events. It repeats no request: that would hide a failure."""

from __future__ import annotations

import select
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from loadtest.harness.history import NO_ANSWER

RECEIVE_BYTES = 65_536
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Request:
    """An event to be posted. headers: those of the signature."""

    path: str
    headers: dict[str, str]
    body: bytes

    def encoded(self, host: str, *, close: bool = False) -> bytes:
        """As HTTP/1.1. close: asks the server to close the connection after its answer."""
        fields = {
            "Host": host,
            "Content-Type": "application/json",
            "Content-Length": str(len(self.body)),
            **({"Connection": "close"} if close else {}),
            **self.headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"POST {self.path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + self.body


@dataclass(frozen=True)
class Reply:
    """status: NO_ANSWER where none came; ``error`` then names its kind. sent_at: seconds since
    1970. ms: from the send to the whole answer."""

    status: int
    body: bytes
    sent_at: float
    ms: float
    error: str = ""


class Connection:
    """One connection, opened for its first request and again after it was closed. For one thread.

    timeout_seconds: for a whole answer. keep: use the connection for more than one request.
    """

    def __init__(
        self, url: str, timeout_seconds: float = TIMEOUT_SECONDS, *, keep: bool = True
    ) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname or "127.0.0.1", parts.port or 80
        self._host = "{}:{}".format(*self._address)
        self._timeout, self._keep = timeout_seconds, keep
        self._socket: socket.socket | None = None
        self._received, self._error = b"", ""
        self._sent_at = self._sent = 0.0

    def post(self, request: Request) -> Reply:
        self.send(request)
        return self.receive()

    def open(self) -> None:
        """Raises ``OSError``. A kept connection that the server has closed is replaced."""
        if self._socket is not None and select.select([self._socket], [], [], 0)[0]:
            self.close()
        if self._socket is None:
            self._socket = socket.create_connection(self._address, self._timeout)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def fileno(self) -> int:
        """For selectors; -1 while it is closed."""
        return -1 if self._socket is None else self._socket.fileno()

    def send(self, request: Request) -> None:
        """Send it; what goes wrong is in the reply."""
        data = request.encoded(self._host, close=not self._keep)
        self._received, self._error = b"", ""
        self._sent_at, self._sent = time.time(), time.perf_counter()
        try:
            self.open()
            assert self._socket is not None
            self._socket.sendall(data)
        except OSError as error:
            self._fail(type(error).__name__)

    def receive(self) -> Reply:
        """Wait for the answer to what was sent."""
        while True:
            if reply := self.receive_some():
                return reply

    def receive_some(self) -> Reply | None:
        """Read once; the reply as soon as the answer is whole, or can no longer become so."""
        if self._socket is not None:
            self._read(self._socket)
        if self._socket is None:
            return self._reply(NO_ANSWER, b"")
        head, gap, body = self._received.partition(b"\r\n\r\n")
        headers = head.lower()
        length = headers.partition(b"\r\ncontent-length:")[2].split(b"\r\n", 1)[0]
        if not gap or not length or len(body) < int(length):
            return None
        if not self._keep or b"\r\nconnection: close" in headers:
            self.close()
        return self._reply(int(head.split(b" ", 2)[1]), body)

    def _read(self, connection: socket.socket) -> None:
        left = self._sent + self._timeout - time.perf_counter()
        try:
            connection.settimeout(max(0.001, left))
            data = connection.recv(RECEIVE_BYTES)
        except OSError as error:
            self._fail(type(error).__name__)
        else:
            self._received += data
            if not data:
                self._fail("ServerDisconnected")

    def _fail(self, error: str) -> None:
        self._error = error
        self.close()

    def _reply(self, status: int, body: bytes) -> Reply:
        ms = (time.perf_counter() - self._sent) * 1000
        return Reply(status, body, self._sent_at, ms, self._error)


def burst(
    url: str, requests: Sequence[Request], timeout_seconds: float = TIMEOUT_SECONDS
) -> list[Reply]:
    """Send all requests at once, each on a connection of its own; the replies in their order.

    From one thread: a hundred threads would share one interpreter, and the time that each waits for
    it would count as the server's. Raises ``OSError`` where a connection cannot be opened.
    """
    connections = [Connection(url, timeout_seconds, keep=False) for _ in requests]
    for connection in connections:
        connection.open()
    replies: dict[int, Reply] = {}
    with selectors.DefaultSelector() as selector:
        for number, (connection, request) in enumerate(zip(connections, requests, strict=True)):
            connection.send(request)
            if connection.fileno() >= 0:
                selector.register(connection, selectors.EVENT_READ, number)
            else:
                replies[number] = connection.receive()
        deadline = time.monotonic() + timeout_seconds
        while selector.get_map() and time.monotonic() < deadline:
            for key, _ in selector.select(0.1):
                if reply := connections[key.data].receive_some():
                    replies[key.data] = reply
                    selector.unregister(key.fd)
    for connection in connections:
        connection.close()
    timed_out = Reply(NO_ANSWER, b"", time.time(), timeout_seconds * 1000, "TimeoutError")
    return [replies.get(number, timed_out) for number in range(len(requests))]
