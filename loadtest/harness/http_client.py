"""Many requests at once, from one thread, each on a connection of its own.

Threads would measure each other: a hundred of them share one interpreter, and their waiting for it
would count as the server's. Here a request's time runs from its send to the arrival of its reply.
"""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

RECEIVE_BYTES = 65_536


@dataclass(frozen=True)
class Post:
    """A request to be sent: path, headers, body."""

    path: str
    headers: dict[str, str]
    body: bytes

    def wire(self, host: str) -> bytes:
        lines = [
            f"POST {self.path} HTTP/1.1",
            f"Host: {host}",
            "Content-Type: application/json",
            f"Content-Length: {len(self.body)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + self.body


@dataclass(frozen=True)
class Reply:
    """status: 0 where none came. ms: from the send to the whole reply."""

    status: int
    ms: float
    body: bytes


def burst(url: str, posts: list[Post], timeout: float = 10.0) -> list[Reply]:
    """Send all posts at once; the replies in their order. timeout: seconds for all of them."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    sockets = [socket.create_connection((host, port), timeout) for _ in posts]
    received = [b""] * len(posts)
    replies: list[Reply | None] = [None] * len(posts)
    sent: list[float] = []
    with selectors.DefaultSelector() as selector:
        for number, (sock, post) in enumerate(zip(sockets, posts, strict=True)):
            selector.register(sock, selectors.EVENT_READ, number)
            data = post.wire(f"{host}:{port}")
            sent.append(time.perf_counter())
            sock.sendall(data)
        deadline = time.perf_counter() + timeout
        while selector.get_map() and time.perf_counter() < deadline:
            for key, _ in selector.select(0.1):
                number = key.data
                try:
                    data = key.fileobj.recv(RECEIVE_BYTES)  # type: ignore[union-attr]
                except OSError:
                    data = b""
                received[number] += data
                status, body = _parse(received[number])
                if body is not None or not data:
                    ms = (time.perf_counter() - sent[number]) * 1000
                    replies[number] = Reply(status if body is not None else 0, ms, body or b"")
                    selector.unregister(key.fileobj)
    for sock in sockets:
        sock.close()
    return [reply or Reply(0, timeout * 1000, b"") for reply in replies]


def _parse(data: bytes) -> tuple[int, bytes | None]:
    """Status and body of a reply with a Content-Length; None while the body is not whole."""
    head, gap, body = data.partition(b"\r\n\r\n")
    if not gap:
        return 0, None
    first, *lines = head.split(b"\r\n")
    lengths = [
        int(line.split(b":", 1)[1]) for line in lines if line.lower().startswith(b"content-length:")
    ]
    whole = bool(lengths) and len(body) >= lengths[0]
    return int(first.split()[1]), body if whole else None
