"""The sustained load: couriers that post events all the time, a tenth of them twice.

``make load`` runs it for 60 s with 100 users. By yourself, against ``make up``:

    locust -f loadtest/locustfile.py                            # then http://localhost:8089
    locust -f loadtest/locustfile.py --headless -u 100 -r 100 -t 60s
"""

from __future__ import annotations

import itertools
import random
import time

import gevent  # type: ignore[import-untyped]
from locust import task

from loadtest.harness.history import ACCEPTED, DUPLICATE, Event
from loadtest.load.locust_user import Sender
from loadtest.load.traffic import DUPLICATES, PACE_SECONDS, SAME_MOMENT, event

_users = itertools.count()


class Courier(Sender):
    """Keeps its own pace, whatever the answers take."""

    def on_start(self) -> None:
        self.user = next(_users)
        self.numbers = itertools.count()
        self.accepted: list[tuple[Event, bytes]] = []
        self.rng = random.Random(self.user)  # the same mix in every run
        self.due = time.monotonic() + self.rng.random() * PACE_SECONDS
        gevent.sleep(self.due - time.monotonic())

    def wait_time(self) -> float:
        """Locust's constant_pacing counts from the start of the users: all would post at once."""
        self.due += PACE_SECONDS
        return max(0.0, self.due - time.monotonic())

    @task
    def post_one(self) -> None:
        if self.rng.random() >= DUPLICATES:
            self.new()
        elif self.rng.random() < SAME_MOMENT:
            self.twice()
        elif self.accepted:
            self.again(*self.rng.choice(self.accepted))

    def new(self) -> None:
        fresh, body = self.next_event()
        if self.post(fresh, self.sign(fresh, body), ACCEPTED) == ACCEPTED:
            self.accepted.append((fresh, body))

    def again(self, event: Event, body: bytes) -> None:
        """An earlier event, whatever its state is now: waiting, in work, retrying or done."""
        self.post(event, self.sign(event, body), DUPLICATE)

    def twice(self) -> None:
        """The same event twice at the same moment: either may be the first."""
        fresh, body = self.next_event()
        request = self.sign(fresh, body)
        # A second connection would be idle until the next pair, longer than the edge keeps one
        # open: the edge could close it at the moment at which they are sent.
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
                exception=AssertionError(f"the same event twice got {statuses}"),
            )
        else:
            self.accepted.append((fresh, body))

    def next_event(self) -> tuple[Event, bytes]:
        fresh = event(self.run_name, self.user, next(self.numbers))
        return fresh, self.body(fresh)
