"""Every way in which an attempt may end, and the result that it is turned into."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database
from redis import Redis

from scheduler.events import Reserved
from scheduler.keys import LaneName
from scheduler.queue import Queue
from scheduler.retry_policy import RetryPolicy
from tests.support.queue_moves import accept
from tests.support.samples import body, reserved
from workers.attempt import Attempts
from workers.breaker_gate import BreakerOpen
from workers.errors import (
    AlreadyDone,
    FenceRaised,
    LostFence,
    Permanent,
    StoreUnavailable,
    Transient,
)
from workers.jobs import Job
from workers.ledger import Ledger
from workers.results import Bury, Defer, Done, Forward, NoAction, Result, Retry
from workers.store_gate import StoreGate

Document = dict[str, Any]
POLICY = RetryPolicy(
    floor_seconds=1, base_seconds=2, cap_seconds=60, max_attempts=3, max_age_seconds=100
)


class OneEndLane:
    """A lane whose ``handle`` returns this result or raises this error."""

    name: LaneName = "routing"

    def __init__(self, end: Result | Exception) -> None:
        self._end = end
        self.handled = 0

    def handle(self, job: Job) -> Result:
        self.handled += 1
        if isinstance(self._end, Exception):
            raise self._end
        return self._end

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise AssertionError(f"an attempt uses {name}")


def attempts(lane: OneEndLane, ledger: Any, store: StoreGate | None = None) -> Attempts:
    store = store or StoreGate(lambda: False)
    end: Any = lane
    return Attempts(
        end, ledger, store, POLICY, lease_seconds=10, clock=time.time, uniform=random.random
    )


def end(
    ledger: Any,
    how: Result | Exception,
    event: Reserved | None = None,
    *,
    probe: bool = False,
    queue: Any = None,
) -> Result:
    """The result of an attempt that ends like this."""
    job = Job(event or reserved(), time.monotonic(), probe=probe)
    return attempts(OneEndLane(how), ledger).run(job, queue)


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        (Done("routed"), Done("routed")),
        (Forward(), Forward()),
        (AlreadyDone("x"), Done("already_done")),
        (LostFence("x"), NoAction()),
    ],
)
def test_results_that_are_passed_on(
    ledger: Ledger, how: Result | Exception, wanted: Result
) -> None:
    assert end(ledger, how) == wanted


def test_a_transient_failure_is_retried_after_the_delay_of_the_policy(ledger: Ledger) -> None:
    for attempt, most in ((0, 3), (1, 5)):
        result = end(ledger, Transient("status 500"), reserved(attempts=attempt))
        assert isinstance(result, Retry)
        assert result.error == "status 500"
        assert 1 <= result.delay_seconds <= most


def test_a_retry_after_of_the_service_is_waited_for(ledger: Ledger) -> None:
    result = end(ledger, Transient("status 429", retry_after_seconds=30))
    assert isinstance(result, Retry)
    assert 30 <= result.delay_seconds <= 32


def test_the_last_failed_attempt_dead_letters_the_event(ledger: Ledger) -> None:
    assert isinstance(end(ledger, Transient("status 500"), reserved(attempts=1)), Retry)
    assert end(ledger, Transient("status 500"), reserved(attempts=2)) == Bury(
        "attempts_exhausted", "status 500", attempts=1
    )


def test_an_old_event_is_dead_lettered_only_if_it_fails(ledger: Ledger) -> None:
    old = reserved(age_seconds=101)
    assert end(ledger, Transient("status 500"), old) == Bury("too_old", "status 500", attempts=1)
    assert end(ledger, Done("routed"), old) == Done("routed")
    assert isinstance(end(ledger, StoreUnavailable("x"), old), Defer)


def test_a_permanent_failure_dead_letters_the_event_at_once(ledger: Ledger) -> None:
    assert end(ledger, Permanent("status 400")) == Bury("permanent", "status 400", attempts=1)


def test_an_unexpected_error_consumes_an_attempt_and_is_named_by_its_type_only(
    ledger: Ledger,
) -> None:
    result = end(ledger, ValueError("with the merchant's secret in it"))
    assert isinstance(result, Retry)
    assert result.error == "internal: ValueError"


def test_a_failed_probe_consumes_no_attempt(ledger: Ledger) -> None:
    for how in (Transient("status 503", retry_after_seconds=9), RuntimeError()):
        result = end(ledger, how, reserved(attempts=2, age_seconds=1000), probe=True)
        assert isinstance(result, Defer)
        assert result.reason == "probe_failed"
        assert result.delay_seconds >= (9 if isinstance(how, Transient) else 1)


def test_an_open_breaker_defers_the_event_until_after_its_pause(ledger: Ledger) -> None:
    result = end(ledger, BreakerOpen(20), reserved(attempts=2, age_seconds=1000))
    assert isinstance(result, Defer)
    assert result.reason == "breaker_open"
    assert 21 <= result.delay_seconds <= 25


def test_an_unavailable_mongodb_defers_the_event_and_stops_the_reserving(ledger: Ledger) -> None:
    gate = StoreGate(lambda: False)
    assert gate.allows_work()
    result = attempts(OneEndLane(StoreUnavailable("AutoReconnect")), ledger, gate).run(
        Job(reserved(attempts=2, age_seconds=1000), 0), _no_queue()
    )
    assert isinstance(result, Defer)
    assert (result.reason, result.route) == ("mongo_away", b"")
    assert not gate.allows_work()


def _no_queue() -> Any:
    return None


def held(queue: Queue, id: str = "bench:evt_1") -> Reserved:
    accept(queue, id, body=body())
    (event,) = queue.reserve("lookup", 1, owner="host/w", boot="b1", lease_seconds=10)
    return event


def test_a_higher_fence_in_the_ledger_while_the_lock_is_held_is_the_floor_of_the_next_fence(
    queue: Queue, ledger: Ledger
) -> None:
    event = held(queue)
    result = end(ledger, FenceRaised(event.fence + 10**12), event, queue=queue)
    assert isinstance(result, Defer)
    assert (result.reason, result.fence) == ("fence_behind", event.fence + 10**12)


def test_a_higher_fence_in_the_ledger_after_the_lock_was_lost_means_no_action(
    queue: Queue, store: Redis, ledger: Ledger
) -> None:
    event = held(queue)
    assert queue.reclaim("lookup", "host/w", "b2", 5) == 1
    (later,) = queue.reserve("lookup", 1, owner="host/w", boot="b2", lease_seconds=10)
    assert end(ledger, FenceRaised(later.fence), event, queue=queue) == NoAction()
    assert store.hget("{gw:0}:event:bench:evt_1", "gen") == later.gen


def test_a_dead_letter_is_noted_in_the_ledger_first(
    database: Database[Document], ledger: Ledger
) -> None:
    ledger.claim(reserved(), {})
    assert isinstance(end(ledger, Permanent("status 400")), Bury)
    entry = database["events"].find_one({"_id": "bench:evt_1"}) or {}
    assert (entry["state"], entry["reason"], entry["error"]) == ("dead", "permanent", "status 400")


@pytest.mark.parametrize("how", [Bury("shipment_gone"), Bury("malformed"), Permanent("x")])
def test_an_event_that_is_done_in_the_ledger_is_never_dead_lettered(
    ledger: Ledger, how: Result | Exception
) -> None:
    ledger.claim(reserved(), {})
    ledger.close(reserved(), "routed")
    assert end(ledger, how, reserved(fence=101)) == Done("already_done")


def test_dead_lettering_waits_for_mongodb() -> None:
    class Unavailable:
        def note_dead(self, *_: object) -> bool:
            raise StoreUnavailable("AutoReconnect")

    result = end(Unavailable(), Bury("malformed", "no status"))
    assert isinstance(result, Defer)
    assert result.reason == "mongo_away"


def test_a_note_that_fails_does_not_prevent_the_dead_letter() -> None:
    class Failing:
        def note_dead(self, *_: object) -> bool:
            raise ValueError("a document too large")

    assert end(Failing(), Bury("malformed", "no status")) == Bury("malformed", "no status")


def test_an_attempt_beyond_its_deadline_is_retried_even_if_it_was_the_last(ledger: Ledger) -> None:
    work = attempts(OneEndLane(Forward()), ledger)
    result = work.overdue(Job(reserved(attempts=2, age_seconds=1000), 0), "took longer than 30 s")
    assert isinstance(result, Retry)
    assert result.error == "took longer than 30 s"
    assert isinstance(work.overdue(Job(reserved(), 0, probe=True), ""), Defer)


def test_the_next_holder_dead_letters_an_event_whose_last_attempt_passed_its_deadline(
    ledger: Ledger,
) -> None:
    lane = OneEndLane(Forward())
    work = attempts(lane, ledger)
    exhausted = reserved(attempts=3)
    # No error, so that the event keeps the one of its last attempt.
    assert work.run(Job(exhausted, 0), _no_queue()) == Bury("attempts_exhausted", "")
    assert lane.handled == 0
