"""The load: many clients that send signed events, and send again until they get a 2xx.

Two kinds. Senders tell new events, now and then twice in the same moment. Repeaters look into
Redis for an event in one state after the other (ready, locked, retry, dead, done) and post that
event once more, so that duplicates meet every state.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from redis.asyncio import Redis
from redis.exceptions import RedisError

from loadtest.chaos import payloads
from loadtest.chaos.told import Told
from loadtest.harness.accounts import Answer, Event
from loadtest.harness.stores import PREFIX

SENDERS = 40
REPEATERS = 4
PATIENCE = 5.0  # a courier's own deadline for an answer
PACE = (0.8, 2.4)  # seconds from an answer to the next event of a sender
AGAIN = (0.2, 0.6)  # and from a failure to the same one again
REPEAT_PACE = (0.1, 0.3)
TWINS = 0.1
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
class Couriers:
    """redis: a client of the server itself. Runs in one event loop; ``stop`` ends the load, but
    what was sent is sent again until it got its 2xx."""

    url: str
    seed: int
    told: Told
    redis: Redis
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    early: dict[str, float] = field(default_factory=dict)  # shipment -> when it is to be made known
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def run(self) -> None:
        """Until stopped and settled."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(SENDERS):
                tasks.create_task(self._sender(number))
            for number in range(REPEATERS):
                tasks.create_task(self._repeater(number))

    async def _sender(self, number: int) -> None:
        rng = Random(f"sender {number} {self.seed}")
        source = list(payloads.WORDS)[number % len(payloads.WORDS)]
        name = f"{source}-{number}"
        # Every other one opens a connection for each request, as many couriers do.
        connector = TCPConnector(force_close=number % 2 == 0)
        async with ClientSession(connector=connector) as http:
            for count in itertools.count():
                await self._pause(rng, PACE)
                if self.stop.is_set():
                    return
                event = payloads.event(
                    rng,
                    source,
                    f"{self.seed}-{number}-{count}",
                    self._shipment(rng),
                    datetime.now(UTC),
                )
                self.told.announce(event)
                if rng.random() < TWINS:
                    await asyncio.gather(
                        self._until_told(http, name, event, rng),
                        self._post(http, f"{name}'", event),
                    )
                else:
                    await self._until_told(http, name, event, rng)

    def _shipment(self, rng: Random) -> str:
        if rng.random() < EARLY:
            name = f"SHP-early-{next(self._numbers)}"
            self.early[name] = time.time() + rng.uniform(1, 4)
            return name
        return f"SHP-{rng.randrange(HOT_SHIPMENTS if rng.random() < HOT else SHIPMENTS)}"

    async def _until_told(self, http: ClientSession, name: str, event: Event, rng: Random) -> None:
        told = await self._post(http, name, event)
        while not told.told:
            await asyncio.sleep(rng.uniform(*AGAIN))
            told = await self._post(http, name, event)

    async def _repeater(self, number: int) -> None:
        rng = Random(f"repeater {number} {self.seed}")
        async with ClientSession() as http:
            for state in itertools.cycle(STATES):
                await self._pause(rng, REPEAT_PACE)
                if self.stop.is_set():
                    return
                key = await self._find(state, rng)
                event = self.told.events.get(key)
                if event is not None:
                    await self._post(http, f"repeater-{number}", event, seen=state)

    async def _find(self, state: str, rng: Random) -> str:
        """Some event in this state; empty if there is none, or Redis is away."""
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

    async def _post(self, http: ClientSession, name: str, event: Event, seen: str = "") -> Answer:
        sent = time.time()
        status: int | None
        try:
            async with http.post(
                f"{self.url}/v1/events/{event.source}",
                data=event.body,
                headers=payloads.headers(event, sent),
                timeout=ClientTimeout(total=PATIENCE),
            ) as answer:
                content = await answer.read()
                status, word = answer.status, _word(content, event.key)
        except (ClientError, OSError, TimeoutError) as error:
            status, word = None, type(error).__name__
        told = Answer(event.key, name, sent, time.time(), status, word, seen)
        self.told.note(told)
        return told

    async def _pause(self, rng: Random, span: tuple[float, float]) -> None:
        try:
            async with asyncio.timeout(rng.uniform(*span)):
                await self.stop.wait()
        except TimeoutError:
            pass


def _word(content: bytes, key: str) -> str:
    """What the body says: its status, or the kind of the problem."""
    try:
        document = json.loads(content)
        if "type" in document:
            return str(document["type"]).rpartition(":")[2]
        if document["id"] != key:
            return f"about another event: {document['id']}"
        return str(document["status"])
    except (ValueError, KeyError, TypeError):
        return f"unreadable: {content[:60]!r}"
