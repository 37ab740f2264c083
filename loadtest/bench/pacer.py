"""An open loop at a constant rate: ``python -m loadtest.bench.pacer`` in a process of its own.

Invariant: a latency runs from the moment at which the request was to be sent, whether or not a
connection was free or this process was late. So a stall of the server adds to the latency of every
request that was due during it (no coordinated omission), and a generator that is too slow shows as
latency and as lag, never as a better figure.
"""

from __future__ import annotations

import argparse
import gc
import json
import select
import socket
import sys
import time
from array import array
from collections import deque
from pathlib import Path

CONNECTIONS_MIN = 64  # each opened for its first request and kept, as couriers do
CONNECTIONS_MAX = 512  # below what select() can watch
LEAD_SECONDS = 0.2
ANSWER_SECONDS = 10.0  # for the last answers; what has not come by then is an error
FAILED = -1.0


class Pacer:
    """Sends request n of ``data`` at n / rate seconds.

    latency_seconds: by request. lag_seconds: by how much this process was late with each, although
    a connection was free.
    """

    def __init__(
        self, data: bytes, size_bytes: int, count: int, rate: float, address: tuple[str, int]
    ) -> None:
        self._data, self._size, self._rate, self._address = data, size_bytes, rate, address
        self.latency_seconds = array("d", [FAILED]) * count
        self.lag_seconds = array("d", [0.0]) * count
        self.not_2xx = 0
        self._idle: deque[socket.socket] = deque()
        self._busy: dict[socket.socket, int] = {}
        self._open_count = 0
        self._free_since = 0.0  # since when a connection is free again

    def _open(self) -> socket.socket:
        connection = socket.create_connection(self._address, 2)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def run(self) -> None:
        """Send until every request is answered, or ANSWER_SECONDS after the last was due. Closes
        the connections."""
        try:
            self._run()
        finally:
            for connection in (*self._idle, *self._busy):
                connection.close()

    def _run(self) -> None:
        count, rate = len(self.latency_seconds), self._rate
        began = time.perf_counter() + LEAD_SECONDS
        give_up = began + count / rate + ANSWER_SECONDS
        number = 0
        while number < count or self._busy:
            now = time.perf_counter()
            while number < count and began + number / rate <= now and self._may_send():
                self._send(number, began + number / rate)
                number += 1
                now = time.perf_counter()
            if now > give_up:
                return
            wait = began + number / rate - now if number < count and self._may_send() else 0.05
            # select, for it waits to the microsecond; epoll counts in milliseconds.
            for connection in select.select(self._busy, (), (), max(0.0, wait))[0]:
                self._receive(connection, began)

    def _may_send(self) -> bool:
        return bool(self._idle) or self._open_count < CONNECTIONS_MAX

    def _send(self, number: int, due: float) -> None:
        if self._open_count < CONNECTIONS_MIN or not self._idle:
            self._idle.appendleft(self._open())
            self._open_count += 1
        connection = self._idle.popleft()  # the one that was idle longest: all are used equally
        at = number * self._size
        try:
            connection.send(self._data[at : at + self._size])
        except OSError:
            self._drop(connection)
            return
        self.lag_seconds[number] = time.perf_counter() - max(due, self._free_since)
        self._busy[connection] = number

    def _receive(self, connection: socket.socket, began: float) -> None:
        try:
            answer = connection.recv(65536)
            while answer and not _complete(answer):
                more = connection.recv(65536)
                answer = answer + more if more else b""
        except OSError:
            answer = b""
        number = self._busy.pop(connection)
        if not answer:
            self._drop(connection)
            return
        if answer[9:10] == b"2":
            self.latency_seconds[number] = time.perf_counter() - (began + number / self._rate)
        else:
            self.not_2xx += 1
        self._rest(connection)

    def _rest(self, connection: socket.socket) -> None:
        if not self._may_send():
            self._free_since = time.perf_counter()
        self._idle.append(connection)

    def _drop(self, connection: socket.socket) -> None:
        connection.close()
        self._open_count -= 1


def _complete(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    _, found, rest = head.lower().partition(b"content-length:")
    return bool(found) and len(body) >= int(rest.split(b"\r\n", 1)[0])


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench.pacer")
    parser.add_argument("file", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("port", type=int)
    for name in ("size", "count"):
        parser.add_argument(name, type=int)
    parser.add_argument("rate", type=float)
    given = parser.parse_args(arguments)
    pacer = Pacer(
        given.file.read_bytes(), given.size, given.count, given.rate, ("127.0.0.1", given.port)
    )
    gc.freeze()
    gc.disable()  # a collection would be measured as the server's
    cpu, began = time.process_time(), time.perf_counter()
    pacer.run()
    busy = (time.process_time() - cpu) / (time.perf_counter() - began)
    given.out.write_text(
        json.dumps(
            {
                "latency": [round(value, 7) for value in pacer.latency_seconds if value != FAILED],
                "lag": [round(value, 7) for value in pacer.lag_seconds],
                "errors": pacer.latency_seconds.count(FAILED),
                "not_2xx": pacer.not_2xx,
                "busy": busy,
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
