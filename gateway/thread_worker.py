"""gunicorn's thread worker, made to survive slow clients: what serves where meinheld was not built.

As it comes it reads from a stalled client for ever, and its main loop (all accepting and
dispatching) waits up to 2 s for each client to close its end. Invariant: a client costs one thread
at most ``STALL_SECONDS`` between two bytes, and never the main loop.
"""

from __future__ import annotations

import socket
import struct

from gunicorn import util
from gunicorn.workers.gthread import TConn, ThreadWorker

STALL_SECONDS = 5  # longer is kinder to slow clients, and leaves a thread to them for as long
LINGER_SECONDS = 0.5  # for a client to read its answer before a reset could overtake it

_STALL = struct.pack("ll", STALL_SECONDS, 0)  # a struct timeval


class PatientThreadWorker(ThreadWorker):  # type: ignore[misc]
    """``ThreadWorker`` with a timeout on reads and with lingering closes off the main loop."""

    def handle(self, conn: TConn) -> object:
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
