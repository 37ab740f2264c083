"""The load: many clients that send signed events, each until it gets a 2xx.

Two kinds. Senders send new events, some of them twice at the same moment. Repeaters look in Redis
for an event in one state after the other (ready, locked, retry, dead, done) and post that event
again, so that duplicates meet every state.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from loadtest.chaos import payloads
from loadtest.harness.history import Answer, Event, History, word_of
from loadtest.harness.http_client import Connection
from loadtest.harness.stores import PREFIX

SENDERS = 40
REPEATERS = 4
REQUESTS_AT_ONCE = 2 * SENDERS + REPEATERS
ANSWER_SECONDS = 5.0  # a client's own deadline for an answer
EVENT_SECONDS = (0.8, 2.4)  # from an answer to the next event of a sender
RESEND_SECONDS = (0.2, 0.6)  # from a failure to the same event again
REPEAT_SECONDS = (0.1, 0.3)
SENT_TWICE = 0.1  # share of the events
SHIPMENTS = 100
HOT_SHIPMENTS = 4  # get a third of all events, so that these contend for them
HOT = 0.33
EARLY = 0.01  # share of the events whose shipment is not known yet
STATES = ("ready", "locked lookup", "locked routing", "retry", "dead", "done")
_SETS = {
    "locked lookup": "locks:lookup",
    "locked routing": "locks:routing",
    "retry": "retry",
    "dead": "dead",
    "done": "done",
}


@dataclass
class Generator:
    """redis: a client of the server itself. Runs in one event loop; ``stop`` ends the load, but an
    event without a 2xx is sent until it gets one."""

    url: str
    seed: int
    history: History
    redis: Redis
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    early: dict[str, float] = field(default_factory=dict)  # shipment -> when it is to become known
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(REQUESTS_AT_ONCE, "client")
    )

    async def run(self) -> None:
        """Send events until ``stop``, then until each of them has its 2xx."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(SENDERS):
                    tasks.create_task(self._sender(number))
                for number in range(REPEATERS):
                    tasks.create_task(self._repeater(number))
        finally:
            self._threads.shutdown(wait=False)

    async def _sender(self, number: int) -> None:
        rng = Random(f"sender {number} {self.seed}")
        source = list(payloads.WORDS)[number % len(payloads.WORDS)]
        name = f"{source}-{number}"
        # Every other one opens a connection for each request, as many couriers do.
        connection = Connection(self.url, ANSWER_SECONDS, keep=number % 2 == 1)
        for count in itertools.count():
            await self._pause(rng, EVENT_SECONDS)
            if self.stop.is_set():
                return connection.close()
            id, now = f"{self.seed}-{number}-{count}", datetime.now(UTC)
            event = payloads.event(rng, source, id, self._shipment(rng), now)
            self.history.announce(event)
            if rng.random() < SENT_TWICE:
                second = Connection(self.url, ANSWER_SECONDS, keep=False)
                await asyncio.gather(
                    self._until_acknowledged(connection, name, event, rng),
                    self._post(second, f"{name}'", event),
                )
            else:
                await self._until_acknowledged(connection, name, event, rng)
        return None

    def _shipment(self, rng: Random) -> str:
        if rng.random() < EARLY:
            name = f"SHP-early-{next(self._numbers)}"
            self.early[name] = time.time() + rng.uniform(1, 4)
            return name
        return f"SHP-{rng.randrange(HOT_SHIPMENTS if rng.random() < HOT else SHIPMENTS)}"

    async def _until_acknowledged(
        self, connection: Connection, name: str, event: Event, rng: Random
    ) -> None:
        while True:
            answer = await self._post(connection, name, event)
            if answer.acknowledged:
                return
            await asyncio.sleep(rng.uniform(*RESEND_SECONDS))

    async def _repeater(self, number: int) -> None:
        rng = Random(f"repeater {number} {self.seed}")
        connection = Connection(self.url, ANSWER_SECONDS)
        for state in itertools.cycle(STATES):
            await self._pause(rng, REPEAT_SECONDS)
            if self.stop.is_set():
                return connection.close()
            event = self.history.events.get(await self._find(state, rng))
            if event is not None:
                await self._post(connection, f"repeater-{number}", event, seen_in=state)
        return None

    async def _find(self, state: str, rng: Random) -> str:
        """Some event in this state; empty if there is none, or Redis is unavailable."""
        found: Any
        try:
            if state == "ready":
                lists = [key async for key in self.redis.scan_iter(f"{PREFIX}ready:*", count=1000)]
                found = await self.redis.lindex(rng.choice(lists), 0) if lists else None
            else:
                found = await self.redis.zrandmember(PREFIX + _SETS[state])
        except (RedisError, OSError):
            return ""
        return found.decode() if found else ""

    async def _post(
        self, connection: Connection, name: str, event: Event, seen_in: str = ""
    ) -> Answer:
        request = payloads.request(event, time.time())
        loop = asyncio.get_running_loop()
        reply = await loop.run_in_executor(self._threads, connection.post, request)
        word = word_of(reply.body, event.key) if reply.status else reply.error
        answer = Answer(
            event.key, event.shipment, reply.status, reply.sent_at, reply.ms, word, name, seen_in
        )
        self.history.note(answer)
        return answer

    async def _pause(self, rng: Random, span: tuple[float, float]) -> None:
        try:
            async with asyncio.timeout(rng.uniform(*span)):
                await self.stop.wait()
        except TimeoutError:
            pass
