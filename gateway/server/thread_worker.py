"""gunicorn's thread worker with protection against slow clients; used where meinheld is not.

The original gives each connection a thread for up to 5 s before the first byte arrives, reads from
a stalled client without a timeout, and its main loop (which accepts and dispatches) waits up to 2 s
for each client to close. Invariant: a client occupies no thread until the head of its request has
arrived, then a thread for at most ``STALL_SECONDS`` between two bytes, and never the main loop.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker

STALL_SECONDS = 5  # longer: slower clients succeed, and each may hold a thread for longer
HEAD_BYTES_MAX = 65_536  # gunicorn rejects a longer head, so waiting for more is useless
LINGER_SECONDS = 0.5  # time for a client to read its answer before the connection may be reset

_STALL_TIMEVAL = struct.pack("ll", STALL_SECONDS, 0)


class PatientThreadWorker(ThreadWorker):  # type: ignore[misc]
    """``ThreadWorker`` with a timeout on reads. It waits for heads in its poller, and for clients
    to close in its threads."""

    def handle(self, conn: TConn) -> object:
        if not _head_has_arrived(conn):
            return _DEFER  # give the connection back to the poller
        # A kernel timeout, because the worker removes Python's own at each request.
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _STALL_TIMEVAL)
        keep: object = super().handle(conn)
        if not keep:
            util.close_graceful(conn.sock, LINGER_SECONDS)
            conn.close = _already_closed
        return keep

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answers a request that gunicorn's parser rejected."""
        super().handle_error(req, _ErrorSocket(client), addr, exc)

    def _cap_keepalive(self, deadline: float) -> None:
        """Called when a stop begins: bounds how long connections without a request stay open."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:  # they have not sent a request yet
            conn.timeout = min(conn.timeout, deadline)


class _ErrorSocket:
    """Completes the blank line between head and body of gunicorn's error responses: ``dedent``,
    with which gunicorn writes them, drops its CR from Python 3.14 on."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def sendall(self, data: bytes) -> None:
        self._client.sendall(data.replace(b"\r\n\n", b"\r\n\r\n", 1))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def _already_closed(graceful: bool = False) -> None:
    """Replaces the close in the main loop. On a closed socket the original fails and the connection
    is counted twice, so a stopping worker would find no connection left too early."""


def _head_has_arrived(conn: TConn) -> bool:
    """Whether a thread would find a whole head, or a reason to end the connection. If not, the
    poller wakes only when more bytes arrive than are there now."""
    if conn.parser is not None and conn.parser.unreader.buf.getvalue():
        return True  # its first bytes were read together with the previous request
    awaited_above: int | None = getattr(conn, "awaited_above", None)
    try:
        head = conn.sock.recv(HEAD_BYTES_MAX, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        there = (
            b"\r\n\r\n" in head
            or b"\n\n" in head
            or len(head) == HEAD_BYTES_MAX
            or not head[:1].isalpha()  # not an HTTP method, or closed by the client
            or len(head) == awaited_above  # the poller woke, but not for more bytes: closed
        )
    except BlockingIOError:
        head, there = b"", False
    except OSError:
        return True
    if there and awaited_above is None:
        return True
    conn.awaited_above = None if there else len(head)
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1 if there else len(head) + 1)
    return there
