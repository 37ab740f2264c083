"""One attempt at an event: let the lane process it, and turn every outcome into a result."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from scheduler.events import Reserved
from scheduler.queue import Queue
from scheduler.retry_policy import RetryPolicy, unavailable_delay_seconds
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
from workers.lane import Lane
from workers.ledger import Ledger
from workers.results import Bury, Defer, Done, NoAction, Result, Retry
from workers.store_gate import StoreGate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempts:
    """Safe for threads. clock: seconds since 1970. uniform draws from [0, 1)."""

    lane: Lane
    ledger: Ledger
    store: StoreGate
    policy: RetryPolicy
    lease_seconds: float
    clock: Callable[[], float]
    uniform: Callable[[], float]

    def run(self, job: Job, queue: Queue) -> Result:
        """Make one attempt. queue: the calling thread's own. Raises ``RedisUnavailable`` only."""
        event = job.event
        try:
            if self.policy.stop_reason(event.attempts, 0) is None:
                result = self.lane.handle(job)
            else:  # the last attempt ended at its deadline, see ``overdue``
                result = Bury("attempts_exhausted")
        except AlreadyDone:
            result = Done("already_done")
        except LostFence:
            result = NoAction()
        except FenceRaised as error:
            result = self._fence_raised(event, error.fence, queue)
        except StoreUnavailable as error:
            result = self._store_unavailable(error)
        except BreakerOpen as error:
            result = Defer(
                error.wait_seconds + unavailable_delay_seconds(self.uniform), "breaker_open"
            )
        except Transient as error:
            result = self._failed(job, str(error), error.retry_after_seconds)
        except Permanent as error:
            result = Bury("permanent", str(error), attempts=1)
        except Exception as error:  # a bug must cost the event an attempt, not the process a thread
            log.exception("event %s: unexpected error", event.id)
            # Only the type: the message may hold what is in the payload.
            result = self._failed(job, f"internal: {type(error).__name__}")
        if isinstance(result, Bury):
            result = self._bury(event, result)
        return result

    def overdue(self, job: Job, error: str) -> Result:
        """The attempt passed its deadline while its thread still works. Never final, because the
        thread may yet close the ledger: when this was the last attempt, the next holder
        dead-letters the event under a higher fence."""
        if job.probe:
            return Defer(unavailable_delay_seconds(self.uniform), "probe_failed")
        return Retry(self.policy.delay_seconds(job.event.attempts, 0, self.uniform), error)

    def _failed(self, job: Job, error: str, retry_after_seconds: float = 0) -> Result:
        """A failed attempt: another follows, or it was the last. A failed probe consumes none."""
        event = job.event
        if job.probe:
            return Defer(
                max(retry_after_seconds, unavailable_delay_seconds(self.uniform)), "probe_failed"
            )
        age_seconds = self.clock() - event.live_since_ms / 1000
        reason = self.policy.stop_reason(event.attempts + 1, age_seconds)
        if reason is not None:
            return Bury(reason, error, attempts=1)
        return Retry(
            self.policy.delay_seconds(event.attempts, retry_after_seconds, self.uniform), error
        )

    def _store_unavailable(self, error: StoreUnavailable) -> Result:
        """A short delay: the gate already keeps this process from reserving more, and a long one
        would only add to the outage."""
        self.store.report_unavailable(str(error))
        return Defer(unavailable_delay_seconds(self.uniform, 0.5, 1.5), "mongo_away")

    def _fence_raised(self, event: Reserved, fence: int, queue: Queue) -> Result:
        if queue.extend(event.lane, [(event.id, event.gen)], self.lease_seconds):
            return NoAction()  # the lock is lost
        # The lock is held and the ledger is ahead: Redis was emptied and its clock is behind.
        return Defer(unavailable_delay_seconds(self.uniform, 0.1, 0.4), "fence_behind", fence=fence)

    def _bury(self, event: Reserved, result: Bury) -> Result:
        """Ledger first, then Redis: an event that the ledger has as done is done."""
        try:
            if not self.ledger.note_dead(event, result.reason, result.error):
                return Done("already_done")
        except StoreUnavailable as error:
            return self._store_unavailable(error)
        except Exception:  # the note only informs: the event is dead-lettered without it, too
            log.exception("event %s: the ledger does not note its dead letter", event.id)
        return result
