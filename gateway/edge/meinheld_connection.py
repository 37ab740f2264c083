"""Works around two faults of meinheld through the client's socket; does nothing on other servers.

meinheld reports as REMOTE_ADDR the address that connected last, and it keeps a connection open
after any response of the application. Used for rejected requests only: each call costs some system
calls.
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
    """Close the connection after the reply. The end of a rejected request is not certain, so the
    next bytes may not be a request. gunicorn's own parser closes by itself where it must."""
    client = environ.get("meinheld.client")
    if client is not None and resp.data is not None:
        resp.set_header("Connection", "close")
        resp.set_stream(_LastReply(resp.data, client), len(resp.data))
        resp.data = None


class _LastReply:
    """The body of a reply; the WSGI server calls ``close`` after it has sent it."""

    def __init__(self, content: bytes, client: Any) -> None:
        self._content, self._client = content, client

    def __iter__(self) -> Iterator[bytes]:
        yield self._content

    def close(self) -> None:
        # Close for writing only: closing a socket with unread bytes resets the connection, and the
        # client may see the reset before it reads the reply.
        with contextlib.suppress(OSError), _socket(self._client) as connection:
            connection.shutdown(socket.SHUT_WR)


def _socket(client: Any) -> socket.socket:
    return socket.socket(fileno=os.dup(client.get_fd()))
