"""Queue.wait: an idle worker sleeps until its lane has an event or the time ends."""

from __future__ import annotations

import time

import pytest
from redis import Redis

from scheduler.queue import Queue
from tests.support.queue_moves import KEYS, accept, held, promote


def test_a_token_of_its_lane_wakes_it(queue: Queue, store: Redis) -> None:
    accept(queue)
    assert queue.wait("lookup", 5)
    assert not queue.wait("routing", 0.02)
    queue.forward(held(queue, "bench:2"))
    assert queue.wait("routing", 5)
    assert not store.exists(KEYS.wake("routing"))


def test_the_scheduler_has_a_token_of_its_own(queue: Queue) -> None:
    queue.retry(held(queue), 60, "timeout")
    assert queue.wait("scheduler", 5)
    promote(queue)
    assert not queue.wait("scheduler", 0.02)


@pytest.mark.parametrize("seconds", [0, 0.0001, 0.05])
def test_it_ends_after_the_given_time(queue: Queue, seconds: float) -> None:
    start = time.monotonic()
    assert not queue.wait("lookup", seconds)
    assert time.monotonic() - start < 1


def test_it_may_be_longer_than_the_timeout_of_the_connection(queue: Queue) -> None:
    assert not queue.wait("lookup", 2.1)  # the timeout of the connection is 2 s
