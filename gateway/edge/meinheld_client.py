"""The socket behind a request that meinheld serves; nothing where another server does.

What meinheld says of a client is the address that connected last, and it keeps a connection open
after any answer of an application. Both can be mended from its socket. Off the path of a good
request: every call costs some system calls.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

import falcon


def remote(environ: dict[str, Any]) -> str:
    """The address of the client."""
    client = environ.get("meinheld.client")
    if client is not None:
        with contextlib.suppress(OSError), _socket(client) as connection:
            return str(connection.getpeername()[0])
    return str(environ.get("REMOTE_ADDR", ""))


def close_after(environ: dict[str, Any], resp: falcon.Response) -> None:
    """Close the connection once the reply is out: where a request ended is not certain, so that
    what follows it may be anything. gunicorn's own parser knows, or closes by itself."""
    client = environ.get("meinheld.client")
    if client is not None and resp.data is not None:
        resp.set_header("Connection", "close")
        resp.set_stream(_LastReply(resp.data, client), len(resp.data))
        resp.data = None


class _LastReply:
    """The content of a reply. WSGI calls ``close`` when it is sent."""

    def __init__(self, content: bytes, client: Any) -> None:
        self._content, self._client = content, client

    def __iter__(self) -> Iterator[bytes]:
        yield self._content

    def close(self) -> None:
        # Only for writing: a connection that is closed with bytes unread is reset, and the reset
        # may overtake the reply.
        with contextlib.suppress(OSError), _socket(self._client) as connection:
            connection.shutdown(socket.SHUT_WR)


def _socket(client: Any) -> socket.socket:
    return socket.socket(fileno=os.dup(client.get_fd()))
