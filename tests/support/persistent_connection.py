"""A courier's connection that stays open between two events."""

from __future__ import annotations

import http.client
from collections.abc import Callable

from tests.support.edge import Edge, bench_headers, event


class PersistentConnection:
    """``post`` sends an event on it."""

    def __init__(self, edge: Edge) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
        self._connection.connect()
        assert self._connection.sock is not None
        # http.client closes its own socket on Connection: close.
        self._duplicate = self._connection.sock.dup()

    def post(self, id: str) -> http.client.HTTPResponse:
        body = event(id)
        self._connection.request("POST", "/v1/events/bench", body, bench_headers(body))
        response = self._connection.getresponse()
        response.read()
        return response

    def post_until_the_last(self) -> None:
        """Post repeatedly until an answer has Connection: close."""
        for n in range(1_000_000):
            response = self.post(f"evt_{n % 10}")
            assert response.status in (200, 202)
            if response.getheader("Connection") == "close":
                return

    def close(self) -> None:
        self._connection.close()
        self._duplicate.close()

    def closed(self) -> bool:
        return self._duplicate.recv(1) == b""


Connect = Callable[[Edge], PersistentConnection]
