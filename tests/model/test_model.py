"""The queue behaves like its model, whatever verbs run in whatever order.

make test ARGS="tests/model/test_model.py --hypothesis-profile=thorough"
"""

from __future__ import annotations

from tests.model.search import run_corner_cases, search
from tests.model.state_machine import QueueStateMachine
from tests.support.servers import RedisServer


def test_the_queue_does_what_its_model_does_in_corner_cases(hasty_server: RedisServer) -> None:
    queue = QueueStateMachine(hasty_server)
    run_corner_cases(queue)
    queue.teardown()


def test_the_queue_does_what_its_model_does(hasty_server: RedisServer) -> None:
    search(QueueStateMachine, hasty_server, examples=30, steps=60)
