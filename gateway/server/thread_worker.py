"""gunicorn's thread worker, made to survive slow clients: what serves where meinheld was not built.

As it comes it gives a thread to every connection for up to 5 s before a byte has come, reads from
a stalled client for ever, and its main loop (all accepting and dispatching) waits up to 2 s for
each client to close its end. Invariant: a client costs no thread until the head of its request has
arrived, then at most ``STALL_SECONDS`` between two bytes, and never the main loop.
"""

from __future__ import annotations

import socket
import struct

from gunicorn import util
from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker

STALL_SECONDS = 5  # longer is kinder to slow clients, and leaves a thread to them for as long
HEAD_BYTES = 65_536  # a longer head is refused, so there is nothing to wait for
LINGER_SECONDS = 0.5  # for a client to read its answer before a reset could overtake it

_STALL = struct.pack("ll", STALL_SECONDS, 0)  # a struct timeval


class PatientThreadWorker(ThreadWorker):  # type: ignore[misc]
    """``ThreadWorker`` with a timeout on reads, and with waiting for heads and lingering closes off
    its threads and its main loop."""

    def handle(self, conn: TConn) -> object:
        if not _head_is_there(conn):
            return _DEFER  # to the poller
        # A kernel timeout, for the worker sets Python's to none at each request.
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _STALL)
        keep: object = super().handle(conn)
        if not keep:
            util.close_graceful(conn.sock, LINGER_SECONDS)
            conn.close = _closed_already
        return keep

    def _cap_keepalive(self, deadline: float) -> None:
        """Called when a stop begins: until when connections without a request stay open."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:  # opened, and never heard of again
            conn.timeout = min(conn.timeout, deadline)


def _closed_already(graceful: bool = False) -> None:
    """The main loop's part of a close. On a closed socket its own would fail, and be counted twice:
    a worker that is told to stop would believe that no connection is left."""


def _head_is_there(conn: TConn) -> bool:
    """Whether a thread would find a whole head, or a reason to end the connection. If not, the
    poller will wake for more than there is now, and no sooner."""
    if conn.parser is not None and conn.parser.unreader.buf.getvalue():
        return True  # the beginning was read along with the request before
    waited_beyond = getattr(conn, "waited_beyond", None)
    try:
        head = conn.sock.recv(HEAD_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        there = (
            b"\r\n\r\n" in head
            or b"\n\n" in head
            or len(head) == HEAD_BYTES
            or not head[:1].isalpha()  # no method of HTTP
            or len(head) == waited_beyond
        )  # woken, and not by more of it: the end
    except BlockingIOError:
        head, there = b"", False
    except OSError:
        return True
    if there and waited_beyond is None:
        return True
    conn.waited_beyond = None if there else len(head)
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1 if there else len(head) + 1)
    return there
