"""Posts events as fast as the workers finish them, over a few connections.

What is answered 503 is posted again, as a courier does.

A round is a request on every connection and then an answer from each: no threads, so that the
feeder takes little of the cores that the workers need.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from conf.sources.statuses import Status
from loadtest.harness import signed
from loadtest.harness.environment import Environment
from loadtest.harness.history import NO_ANSWER, Answer, Event, History, word_of
from loadtest.harness.http_client import Connection, Reply, Request
from loadtest.harness.progress import Every
from loadtest.harness.wait import RunFailed

CONNECTIONS = 16
TWICE = 20  # every so manieth event is posted a second time
WRONG_SIGNATURE = 50  # every so manieth round ends with a request whose signature is wrong
OPEN_MAX = 2_000  # events under way: enough for the workers never to wait
LOOK_SECONDS = 0.25
UNAVAILABLE = 503

Post = tuple[Event, bytes]


class Feed:
    """history: of all requests with a right signature. refused: how many with a wrong one got their
    401."""

    def __init__(self, env: Environment, limit: float) -> None:
        self.history = History()
        self.refused = 0
        self._env, self._limit = env, limit
        self._connections = [Connection(env.url) for _ in range(CONNECTIONS)]
        self._again: list[Post] = []

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    def post(
        self, prefix: str, count: int, statuses: Sequence[Status], look: Callable[[], None]
    ) -> None:
        """All of them. look: is called between rounds, a few times a second. Raises ``RunFailed``
        when the limit (monotonic) is passed."""
        events = _some_twice(prefix, count, statuses)
        every, rounds = Every(LOOK_SECONDS), 0
        while batch := self._batch(events):
            self._round(batch)
            rounds += 1
            if rounds % WRONG_SIGNATURE == 0:
                self._wrong_signature(batch[0])
            if every.due():
                self._wait_for_room(look)

    def _batch(self, events: Iterator[Post]) -> list[Post]:
        again, self._again = self._again, []
        return again + list(islice(events, CONNECTIONS - len(again)))

    def _wait_for_room(self, look: Callable[[], None]) -> None:
        while True:
            look()
            if time.monotonic() > self._limit:
                raise RunFailed("the soak takes too long")
            if self._env.stat("backlog") < OPEN_MAX:
                return
            time.sleep(LOOK_SECONDS)

    def _round(self, batch: list[Post]) -> None:
        for connection, (event, body) in zip(self._connections, batch, strict=False):
            # An event without its body: hundreds of thousands are kept until the end.
            self.history.announce(event)
            connection.send(signed.request(event, body))
        for connection, (event, body) in zip(self._connections, batch, strict=False):
            reply = _answered(connection.receive())
            word = word_of(reply.body, event.key)
            self.history.note(
                Answer(event.key, event.shipment, reply.status, reply.sent_at, reply.ms, word)
            )
            if reply.status == UNAVAILABLE:
                self._again.append((event, body))

    def _wrong_signature(self, post: Post) -> None:
        right = signed.request(*post)
        wrong = {"X-Signature": "sha256=" + 64 * "0"}
        request: Request = replace(right, headers={**right.headers, **wrong})
        reply = _answered(self._connections[0].post(request))
        if reply.status != 401:
            raise RunFailed(f"a wrong signature was answered {reply.status}")
        self.refused += 1


def _some_twice(prefix: str, count: int, statuses: Sequence[Status]) -> Iterator[Post]:
    for number, post in enumerate(signed.events(prefix, count, statuses)):
        yield post
        if number % TWICE == 0:
            yield post


def _answered(reply: Reply) -> Reply:
    """Raises ``RunFailed`` where no answer came."""
    if reply.status == NO_ANSWER:
        raise RunFailed(f"the edge did not answer: {reply.error}")
    return reply
