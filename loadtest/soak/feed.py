"""Posts events as fast as the workers finish them, over a few connections, and notes each answer.

What is answered 503 is posted again, as a courier does. It may have been stored all the same, and
then the next answer calls it a duplicate: that is when its courier is first told that it is safe.

A round is a request on every connection and then an answer from each: no threads, so that the
feeder takes little of the cores that the workers need.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from urllib.parse import urlsplit

import orjson

from conf.sources.statuses import Status
from loadtest.harness import signed
from loadtest.harness.environment import Environment
from loadtest.harness.history import ACCEPTED, DUPLICATE, Answer
from loadtest.harness.wait import BenchError

CONNECTIONS = 16
TWICE = 20  # every so manieth event is posted a second time
UNSIGNED = 50  # every so manieth round ends with one whose signature is wrong
OPEN_MOST = 2_000  # events under way: enough for the workers never to wait
LOOK_SECONDS = 0.25
TIMEOUT_SECONDS = 10
UNAVAILABLE = 503


class Feed:
    """answers: of all that were signed and taken. refused: how many of those that were not signed
    got their 401. unavailable: answers of 503, each posted again."""

    def __init__(self, env: Environment, limit: float) -> None:
        self.answers: list[Answer] = []
        self.refused = self.unavailable = 0
        self._rig, self._limit = env, limit
        self._url = urlsplit(env.url)
        self._connections = [self._open() for _ in range(CONNECTIONS)]
        self._again: list[tuple[str, bytes]] = []
        self._untold: set[str] = set()  # ids that were answered 503 only, so far

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    def post(
        self, prefix: str, count: int, statuses: Sequence[Status], look: Callable[[], None]
    ) -> None:
        """All of them. look: is called between rounds, a few times a second. Raises ``BenchError``
        when the limit (monotonic) is passed."""
        events = self._repeated(prefix, count, statuses)
        next_look, rounds = 0.0, 0
        while batch := self._batch(events):
            self._round(batch)
            rounds += 1
            if rounds % UNSIGNED == 0:
                self._unsigned(batch[0])
            if time.monotonic() >= next_look:
                self._wait_for_room(look)
                next_look = time.monotonic() + LOOK_SECONDS

    def _batch(self, events: Iterator[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        again, self._again = self._again, []
        return again + list(islice(events, CONNECTIONS - len(again)))

    def _wait_for_room(self, look: Callable[[], None]) -> None:
        while True:
            look()
            if time.monotonic() > self._limit:
                raise BenchError("the soak takes too long")
            if self._rig.stat("backlog") < OPEN_MOST:
                return
            time.sleep(LOOK_SECONDS)

    @staticmethod
    def _repeated(
        prefix: str, count: int, statuses: Sequence[Status]
    ) -> Iterator[tuple[str, bytes]]:
        for number, event in enumerate(signed.events(prefix, count, statuses)):
            yield event
            if number % TWICE == 0:
                yield event

    def _round(self, batch: list[tuple[str, bytes]]) -> None:
        sent = time.time()
        for connection, (id, body) in zip(self._connections, batch, strict=False):
            connection.sendall(self._wire(signed.headers(id, body), body))
        for connection, (id, body) in zip(self._connections, batch, strict=False):
            status = _status(connection)
            if status == UNAVAILABLE:
                self.unavailable += 1
                self._untold.add(id)
                self._again.append((id, body))
                continue
            if id in self._untold and status == DUPLICATE:
                status = ACCEPTED
            self._untold.discard(id)
            self.answers.append(
                Answer(
                    f"{signed.SOURCE}:{id}",
                    orjson.loads(body)["shipment_id"],
                    status,
                    sent,
                    (time.time() - sent) * 1000,
                )
            )

    def _unsigned(self, event: tuple[str, bytes]) -> None:
        headers = {**signed.headers(*event), "X-Signature": "sha256=" + 64 * "0"}
        self._connections[0].sendall(self._wire(headers, event[1]))
        status = _status(self._connections[0])
        if status != 401:
            raise BenchError(f"a wrong signature was answered {status}")
        self.refused += 1

    def _wire(self, headers: dict[str, str], body: bytes) -> bytes:
        fields = {"Host": self._url.netloc, "Content-Length": str(len(body)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"POST {self._url.path} HTTP/1.1\r\n{head}\r\n".encode() + body

    def _open(self) -> socket.socket:
        return socket.create_connection((self._url.hostname, self._url.port), TIMEOUT_SECONDS)


def _status(connection: socket.socket) -> int:
    """Of the answer, read whole. Raises ``BenchError`` when the connection ends before it does."""
    answer = b""
    while True:
        part = connection.recv(65536)
        if not part:
            raise BenchError(f"the edge closed a connection after {answer[:200]!r}")
        answer += part
        head, gap, body = answer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        if gap and len(body) >= int(length or 0):
            return int(answer.split(b" ", 2)[1])
