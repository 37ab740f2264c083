"""The sustained load: couriers that post on and on, a tenth of it twice.

``make load`` runs it for 60 s with 100 users. By hand, against ``make up``:

    locust -f loadtest/locustfile.py                            # then http://localhost:8089
    locust -f loadtest/locustfile.py --headless -u 100 -r 100 -t 60s
"""

from __future__ import annotations

import itertools
import random
import time

import gevent  # type: ignore[import-untyped]
from locust import task

from loadtest.harness.history import ACCEPTED, DUPLICATE
from loadtest.load.locust_user import Sender
from loadtest.load.traffic import DUPLICATES, PACE_SECONDS, TWINS, Event, event

_users = itertools.count()


class Courier(Sender):
    """One of many senders. Each keeps its own pace, whatever the answers take."""

    def on_start(self) -> None:
        self.user = next(_users)
        self.numbers = itertools.count()
        self.accepted: list[tuple[Event, bytes]] = []
        self.chance = random.Random(self.user)  # the same mix in every run
        self.due = time.monotonic() + self.chance.random() * PACE_SECONDS
        gevent.sleep(self.due - time.monotonic())

    def wait_time(self) -> float:
        """Locust's constant_pacing counts from the start of the user: all would post in step."""
        self.due += PACE_SECONDS
        return max(0.0, self.due - time.monotonic())

    @task
    def post_one(self) -> None:
        if self.chance.random() >= DUPLICATES:
            self.new()
        elif self.chance.random() < TWINS:
            self.twins()
        elif self.accepted:
            self.again(*self.chance.choice(self.accepted))

    def new(self) -> None:
        fresh, body = self.next_event()
        if self.post(fresh, self.sign(fresh, body), ACCEPTED) == ACCEPTED:
            self.accepted.append((fresh, body))

    def again(self, event: Event, body: bytes) -> None:
        """One of before, whatever became of it meanwhile: waiting, in work, retrying or done."""
        self.post(event, self.sign(event, body), DUPLICATE)

    def twins(self) -> None:
        """The same event twice in the same moment: one of them, either, is the first."""
        fresh, body = self.next_event()
        request = self.sign(fresh, body)
        # A second connection would be idle until the next twins, longer than the edge keeps one
        # open: it could close it in the very moment in which they are sent.
        request.headers["Connection"] = "close"
        both = [gevent.spawn(self.post, fresh, request, ACCEPTED, DUPLICATE) for _ in range(2)]
        gevent.joinall(both)
        statuses = sorted(one.value or 0 for one in both)
        if statuses != [DUPLICATE, ACCEPTED]:
            self.environment.events.request.fire(
                request_type="POST",
                name=f"{fresh.source}: UNEXPECTED",
                response_time=0,
                response_length=0,
                context={},
                exception=AssertionError(f"twins got {statuses}"),
            )
        else:
            self.accepted.append((fresh, body))

    def next_event(self) -> tuple[Event, bytes]:
        fresh = event(self.run_name, self.user, next(self.numbers))
        return fresh, self.tell(fresh)
