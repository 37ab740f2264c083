"""HTTP as exact bytes: sends requests and parses every answer of a connection."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

from tests.support.edge import Edge, bench_headers, event

_ids = itertools.count()


@dataclass(frozen=True)
class Answer:
    """One response. content: up to its Content-Length, or to the end of the connection."""

    status: int
    headers: dict[str, str]  # names in lower case; repeated ones joined
    content: bytes

    @property
    def closes(self) -> bool:
        return "close" in self.headers.get("connection", "").lower()


@dataclass(frozen=True)
class Exchange:
    """All answers of one connection. ended: the server closed it before our timeout."""

    answers: list[Answer]
    ended: bool
    seconds: float

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]


def fresh_event() -> bytes:
    return event(f"evt_raw_{next(_ids)}")


def request(
    *lines: str,
    body: bytes | None = None,
    line: str = "POST /v1/events/bench HTTP/1.1",
    host: str | None = "Host: x",
    length: bool = True,
    end: str = "\r\n",
) -> bytes:
    """A request with a new signed event, unless ``body`` is given, and these additional header
    lines. host None and length False leave those lines out."""
    body = fresh_event() if body is None else body
    usual = [f"{name}: {text}" for name, text in bench_headers(body).items()]
    head = [
        line,
        *([host] if host else []),
        *usual,
        *([f"Content-Length: {len(body)}"] if length else []),
        *lines,
        "",
        "",
    ]
    return end.join(head).encode("latin-1") + body


def exchange(
    edge: Edge,
    *pieces: bytes,
    half_close: bool = False,
    timeout_seconds: float = 8,
    expect: int | None = None,
    pause_seconds: float = 0,
) -> Exchange:
    """Send the pieces and read until the server closes, ``expect`` answers have arrived, or
    ``timeout_seconds`` have passed without a byte. half_close: close our side after sending."""
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", edge.port), timeout_seconds) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received, ended = b"", False
        try:
            for piece in pieces:
                connection.sendall(piece)
                if pause_seconds:
                    time.sleep(pause_seconds)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            while expect is None or len(parse(received)) < expect:
                more = connection.recv(65_536)
                if not more:
                    ended = True
                    break
                received += more
        except TimeoutError:
            pass
        except OSError:  # the server closed before it had read all our bytes
            received, ended = received + _rest(connection), True
    return Exchange(parse(received), ended, time.monotonic() - begin)


def _rest(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except OSError:
        return b""


def parse(received: bytes) -> list[Answer]:
    """The complete answers. Raises ``AssertionError`` or ``ValueError`` for bytes that are not
    HTTP."""
    answers: list[Answer] = []
    while b"\r\n\r\n" in received:
        head, _, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, *_ = first.split(" ")
        assert version.startswith("HTTP/1."), received[:200]
        headers: dict[str, str] = {}
        for name, _, text in (text.partition(":") for text in lines):
            key = name.lower()
            headers[key] = ", ".join(filter(None, (headers.get(key), text.strip())))
        size = 0 if status.startswith("1") else int(headers.get("content-length", len(rest)))
        if len(rest) < size:
            break
        answers.append(Answer(int(status), headers, rest[:size]))
        received = rest[size:]
    return answers


def in_bytes(data: bytes) -> Iterable[bytes]:
    return (data[at : at + 1] for at in range(len(data)))
