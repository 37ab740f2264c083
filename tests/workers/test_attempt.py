"""Every way in which an attempt may end, and what is said to the queue about it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database
from redis import Redis

from scheduler.accept_command import Caps
from scheduler.events import Reserved
from scheduler.keys import LaneName
from scheduler.queue import Queue
from scheduler.retry_policy import RetryPolicy
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
from workers.results import Bury, Defer, Done, Forward, Nothing, Result, Retry
from workers.store_gate import StoreGate

Document = dict[str, Any]
POLICY = RetryPolicy(
    floor_seconds=1, base_seconds=2, cap_seconds=60, max_attempts=3, max_age_seconds=100
)


class Steps:
    """A lane whose steps end in one way: with this result, or this error."""

    lane: LaneName = "routing"

    def __init__(self, end: Result | Exception) -> None:
        self._end = end
        self.handled = 0

    def handle(self, job: Job) -> Result:
        self.handled += 1
        if isinstance(self._end, Exception):
            raise self._end
        return self._end

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise AssertionError(f"an attempt has no need of {name}")


def attempts(steps: Steps, ledger: Any, store: StoreGate | None = None) -> Attempts:
    return Attempts(steps, ledger, store or StoreGate(lambda: False), POLICY, lease=10)


def end(
    ledger: Any,
    how: Result | Exception,
    event: Reserved | None = None,
    *,
    probe: bool = False,
    queue: Any = None,
) -> Result:
    """What an attempt that ends like this is turned into."""
    job = Job(event or reserved(), time.monotonic(), probe=probe)
    return attempts(Steps(how), ledger).run(job, queue)


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        (Done("routed"), Done("routed")),
        (Forward(), Forward()),
        (AlreadyDone("x"), Done("already_done")),
        (LostFence("x"), Nothing()),
    ],
)
def test_an_end_that_needs_no_judgement(
    ledger: Ledger, how: Result | Exception, wanted: Result
) -> None:
    assert end(ledger, how) == wanted


def test_a_transient_failure_is_tried_again_after_the_policy_s_delay(ledger: Ledger) -> None:
    for attempt, most in ((0, 3), (1, 5)):
        result = end(ledger, Transient("status 500"), reserved(attempts=attempt))
        assert isinstance(result, Retry)
        assert result.error == "status 500"
        assert 1 <= result.delay <= most


def test_a_service_s_retry_after_is_heard(ledger: Ledger) -> None:
    result = end(ledger, Transient("status 429", retry_after=30))
    assert isinstance(result, Retry)
    assert 30 <= result.delay <= 32


def test_the_last_failed_attempt_is_the_end(ledger: Ledger) -> None:
    assert isinstance(end(ledger, Transient("status 500"), reserved(attempts=1)), Retry)
    assert end(ledger, Transient("status 500"), reserved(attempts=2)) == Bury(
        "attempts_exhausted", "status 500", attempts=1
    )


def test_an_old_event_that_fails_is_dead_and_one_that_does_not_is_not(ledger: Ledger) -> None:
    old = reserved(age=101)
    assert end(ledger, Transient("status 500"), old) == Bury("too_old", "status 500", attempts=1)
    assert end(ledger, Done("routed"), old) == Done("routed")
    assert isinstance(end(ledger, StoreUnavailable("x"), old), Defer)


def test_a_permanent_failure_is_dead_at_once(ledger: Ledger) -> None:
    assert end(ledger, Permanent("status 400")) == Bury("permanent", "status 400", attempts=1)


def test_a_fault_of_ours_costs_an_attempt_and_is_told_by_its_kind_alone(ledger: Ledger) -> None:
    result = end(ledger, ValueError("with the merchant's secret in it"))
    assert isinstance(result, Retry)
    assert result.error == "internal: ValueError"


def test_a_probe_that_fails_burns_no_attempt_however_many_there_were(ledger: Ledger) -> None:
    for how in (Transient("status 503", retry_after=9), RuntimeError()):
        result = end(ledger, how, reserved(attempts=2, age=1000), probe=True)
        assert isinstance(result, Defer)
        assert result.reason == "probe_failed"
        assert result.delay >= (9 if isinstance(how, Transient) else 1)


def test_an_open_breaker_defers_until_after_its_pause(ledger: Ledger) -> None:
    result = end(ledger, BreakerOpen(20), reserved(attempts=2, age=1000))
    assert isinstance(result, Defer)
    assert result.reason == "breaker_open"
    assert 21 <= result.delay <= 25


def test_mongodb_away_defers_and_shuts_the_gate(ledger: Ledger) -> None:
    gate = StoreGate(lambda: False)
    assert gate.open()
    result = attempts(Steps(StoreUnavailable("AutoReconnect")), ledger, gate).run(
        Job(reserved(attempts=2, age=1000), 0), _no_queue()
    )
    assert isinstance(result, Defer)
    assert (result.reason, result.route) == ("mongo_away", b"")
    assert not gate.open()


def _no_queue() -> Any:
    return None


def held(queue: Queue, id: str = "bench:evt_1") -> Reserved:
    queue.accept(id, "bench", body(), "digest", caps=Caps(10, 10**6, 10))
    (event,) = queue.reserve("lookup", 1, owner="host/w", boot="b1", lease_seconds=10)
    return event


def test_a_ledger_ahead_of_a_lock_that_holds_becomes_the_floor_of_the_next_fence(
    queue: Queue, ledger: Ledger
) -> None:
    event = held(queue)
    result = end(ledger, FenceRaised(event.fence + 10**12), event, queue=queue)
    assert isinstance(result, Defer)
    assert (result.reason, result.fence) == ("fence_behind", event.fence + 10**12)


def test_a_ledger_ahead_of_a_lock_that_is_another_s_means_hands_off(
    queue: Queue, store: Redis, ledger: Ledger
) -> None:
    event = held(queue)
    assert queue.reclaim("lookup", "host/w", "b2", 5) == 1
    (later,) = queue.reserve("lookup", 1, owner="host/w", boot="b2", lease_seconds=10)
    assert end(ledger, FenceRaised(later.fence), event, queue=queue) == Nothing()
    assert store.hget("{gw:0}:event:bench:evt_1", "gen") == later.gen


def test_a_death_is_noted_in_the_ledger_first(database: Database[Document], ledger: Ledger) -> None:
    ledger.claim(reserved(), {})
    assert isinstance(end(ledger, Permanent("status 400")), Bury)
    entry = database["events"].find_one({"_id": "bench:evt_1"}) or {}
    assert (entry["state"], entry["reason"], entry["error"]) == ("dead", "permanent", "status 400")


@pytest.mark.parametrize("how", [Bury("shipment_gone"), Bury("malformed"), Permanent("x")])
def test_an_event_that_the_ledger_knows_as_done_is_never_buried(
    ledger: Ledger, how: Result | Exception
) -> None:
    ledger.claim(reserved(), {})
    ledger.close(reserved(), "routed")
    assert end(ledger, how, reserved(fence=101)) == Done("already_done")


def test_a_death_waits_for_mongodb() -> None:
    class Away:
        def note_dead(self, *_: object) -> bool:
            raise StoreUnavailable("AutoReconnect")

    result = end(Away(), Bury("malformed", "no status"))
    assert isinstance(result, Defer)
    assert result.reason == "mongo_away"


def test_a_death_that_cannot_be_noted_is_a_death_all_the_same() -> None:
    class Odd:
        def note_dead(self, *_: object) -> bool:
            raise ValueError("a document too large")

    assert end(Odd(), Bury("malformed", "no status")) == Bury("malformed", "no status")


def test_what_passed_its_deadline_is_never_the_end_by_itself(ledger: Ledger) -> None:
    work = attempts(Steps(Forward()), ledger)
    result = work.overdue(Job(reserved(attempts=2, age=1000), 0), "took longer than 30 s")
    assert isinstance(result, Retry)
    assert result.error == "took longer than 30 s"
    assert isinstance(work.overdue(Job(reserved(), 0, probe=True), ""), Defer)


def test_an_event_whose_last_attempt_passed_its_deadline_ends_with_the_next_holder(
    ledger: Ledger,
) -> None:
    steps = Steps(Forward())
    work = attempts(steps, ledger)
    exhausted = reserved(attempts=3)
    # No error: the one that is written down with the event, of its last attempt, stays.
    assert work.run(Job(exhausted, 0), _no_queue()) == Bury("attempts_exhausted", "")
    assert steps.handled == 0
