"""HTTP to the byte: requests as exact bytes, and every answer that a connection gave to them."""

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
    """One response. content: to its Content-Length, or to the end of the connection."""

    status: int
    headers: dict[str, str]  # names in small letters; of two, the values joined
    content: bytes

    @property
    def closes(self) -> bool:
        return "close" in self.headers.get("connection", "").lower()


@dataclass(frozen=True)
class Talk:
    """All that one connection answered. ended: the server closed it, rather than our patience."""

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
    """A signed event of its own with these header lines besides. Not in it: what is None."""
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


def talk(
    edge: Edge,
    *pieces: bytes,
    half_close: bool = False,
    patience: float = 8,
    expect: int | None = None,
    pause: float = 0,
) -> Talk:
    """Send the pieces and read until the server closes, ``expect`` answers are there, or for
    ``patience`` seconds. half_close: say that nothing more will come."""
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", edge.port), patience) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        heard, ended = b"", False
        try:
            for piece in pieces:
                connection.sendall(piece)
                if pause:
                    time.sleep(pause)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            while expect is None or len(parse(heard)) < expect:
                more = connection.recv(65_536)
                if not more:
                    ended = True
                    break
                heard += more
        except TimeoutError:
            pass
        except OSError:  # closed with bytes of ours unread
            heard, ended = heard + _rest(connection), True
    return Talk(parse(heard), ended, time.monotonic() - begin)


def _rest(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except OSError:
        return b""


def parse(heard: bytes) -> list[Answer]:
    """The complete answers; fails for bytes that are none."""
    answers: list[Answer] = []
    while b"\r\n\r\n" in heard:
        head, _, rest = heard.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, *_ = first.split(" ")
        assert version.startswith("HTTP/1."), heard[:200]
        headers: dict[str, str] = {}
        for name, _, text in (text.partition(":") for text in lines):
            key = name.lower()
            headers[key] = ", ".join(filter(None, (headers.get(key), text.strip())))
        size = 0 if status.startswith("1") else int(headers.get("content-length", len(rest)))
        if len(rest) < size:
            break
        answers.append(Answer(int(status), headers, rest[:size]))
        heard = rest[size:]
    return answers


def in_bytes(data: bytes) -> Iterable[bytes]:
    return (data[at : at + 1] for at in range(len(data)))
