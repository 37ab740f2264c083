"""One attempt at an event: run the lane's steps, and judge every way in which they may end."""

from __future__ import annotations

import logging
import random
import time
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
from workers.lane import Steps
from workers.ledger import Ledger
from workers.results import Bury, Defer, Done, Nothing, Result, Retry
from workers.store_gate import StoreGate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempts:
    """Safe for threads; the queue is the calling thread's own."""

    steps: Steps
    ledger: Ledger
    store: StoreGate
    policy: RetryPolicy
    lease: float

    def run(self, job: Job, queue: Queue) -> Result:
        """What is to be said to the queue about this attempt. Raises ``RedisUnavailable`` only."""
        event = job.event
        try:
            if self.policy.stop_reason(event.attempts, 0) is None:
                result = self.steps.handle(job)
            else:  # its last attempt ended at the deadline
                result = Bury("attempts_exhausted")
        except AlreadyDone:
            result = Done("already_done")
        except LostFence:
            result = Nothing()
        except FenceRaised as error:
            result = self._fence_raised(event, error.fence, queue)
        except StoreUnavailable as error:
            self.store.away(str(error))
            # Short: the gate keeps the process from taking more, and events wait for nobody else.
            result = Defer(unavailable_delay_seconds(random.random, 0.5, 1.5), "mongo_away")
        except BreakerOpen as error:
            result = Defer(error.wait + unavailable_delay_seconds(random.random), "breaker_open")
        except Transient as error:
            result = self.failed(job, str(error), error.retry_after)
        except Permanent as error:
            result = Bury("permanent", str(error), attempts=1)
        except Exception as error:  # a fault of ours must cost one event's attempt, not the thread
            log.exception("event %s: the steps failed", event.id)
            result = self.failed(job, f"internal: {type(error).__name__}")
        if isinstance(result, Bury):
            result = self._bury(event, result)
        return result

    def failed(self, job: Job, error: str, retry_after: float = 0) -> Result:
        """After a failed attempt: another one, or the end. A probe's failure burns no attempt."""
        event = job.event
        if job.probe:
            return Defer(max(retry_after, unavailable_delay_seconds(random.random)), "probe_failed")
        age = time.time() - event.live_since_ms / 1000
        reason = self.policy.stop_reason(event.attempts + 1, age)
        if reason is not None:
            return Bury(reason, error, attempts=1)
        return Retry(self.policy.delay_seconds(event.attempts, retry_after, random.random), error)

    def overdue(self, job: Job, error: str) -> Result:
        """At the deadline, while the thread still works: never the end, for it may come to close
        the ledger after all. The next holder ends it, under a fence of its own."""
        if job.probe:
            return Defer(unavailable_delay_seconds(random.random), "probe_failed")
        return Retry(self.policy.delay_seconds(job.event.attempts, 0, random.random), error)

    def _fence_raised(self, event: Reserved, fence: int, queue: Queue) -> Result:
        if queue.extend(event.lane, [(event.id, event.gen)], self.lease):
            return Nothing()  # another holds it by now
        # The lock is ours and the ledger is ahead: Redis was emptied and its clock stands behind.
        return Defer(
            unavailable_delay_seconds(random.random, 0.1, 0.4), "fence_behind", fence=fence
        )

    def _bury(self, event: Reserved, death: Bury) -> Result:
        """The ledger first, as ever: it may know that the event is done, and then it is."""
        try:
            if not self.ledger.note_dead(event, death.reason, death.error):
                return Done("already_done")
        except StoreUnavailable as error:
            self.store.away(str(error))
            return Defer(unavailable_delay_seconds(random.random, 0.5, 1.5), "mongo_away")
        except Exception:  # the note is for readers; its lack must not keep the event from its end
            log.exception("event %s: its death could not be noted", event.id)
        return death
