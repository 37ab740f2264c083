"""The queue behaves like its model also after manual changes of the store.

make test ARGS="tests/corruption --hypothesis-profile=thorough"
"""

from __future__ import annotations

from scheduler.constants import QUARANTINE
from scheduler.keys import LANES
from tests.corruption.state_machine import CorruptedQueueStateMachine
from tests.model.search import run_corner_cases, search
from tests.support.servers import RedisServer


def test_the_queue_does_what_its_model_does_in_corner_cases_of_a_corrupted_store(
    hasty_server: RedisServer,
) -> None:
    queue = CorruptedQueueStateMachine(hasty_server)
    run_corner_cases(queue)
    for lane in LANES:
        for state in ("ready", "locked", "retry", "dead", "done"):
            for source in ("a", QUARANTINE):
                for id in sorted(id for id, x in queue.model.events.items() if x.state == state):
                    queue.repeat_an_id(id, lane, source)
                    queue.add_an_id_to_a_set(id, lane, "reclaim")
                    queue.add_an_id_to_a_set(id, lane, "promote")
                    break
    queue.teardown()


def test_the_queue_does_what_its_model_does_with_a_corrupted_store(
    hasty_server: RedisServer,
) -> None:
    search(CorruptedQueueStateMachine, hasty_server, examples=20, steps=60)
