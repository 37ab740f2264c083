"""The burst: as many requests as users, one each, all at the same moment.

locust -f loadtest/locustfile_burst.py --headless -u 100 -r 100
"""

from __future__ import annotations

import itertools
from typing import ClassVar

import gevent  # type: ignore[import-untyped]
from gevent.event import Event as Gate  # type: ignore[import-untyped]
from locust import constant, task

from loadtest.harness.history import ACCEPTED
from loadtest.load.locust_user import Sender
from loadtest.load.traffic import SHIPMENTS_PER_USER, event

_users = itertools.count()


class OneOfMany(Sender):
    """Signs its event, waits until all users have, posts it, and stops."""

    wait_time = constant(0)
    gate: ClassVar[Gate] = Gate()
    ready: ClassVar[int] = 0
    answered: ClassVar[int] = 0

    @task
    def post_one(self) -> None:
        users, user = self.environment.parsed_options.num_users, next(_users)
        # Each user starts at another status, or all would report the same one.
        mine = event(self.run_name, user, user % SHIPMENTS_PER_USER)
        request = self.sign(mine, self.body(mine))
        OneOfMany.ready += 1
        if OneOfMany.ready == users:
            self.gate.set()
        self.gate.wait()
        self.post(mine, request, ACCEPTED)
        OneOfMany.answered += 1
        if OneOfMany.answered == users:
            gevent.spawn(self.environment.runner.quit)  # which ends this greenlet, too
        self.stop()
