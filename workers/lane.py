"""A lane as the process sees it: how many events it takes, with which permits, and its steps."""

from __future__ import annotations

from typing import Any, Protocol

from scheduler.keys import LaneName
from workers.breaker_gate import BreakerGate
from workers.concurrency_limit import ConcurrencyLimit
from workers.errors import Permanent, Transient
from workers.jobs import Job
from workers.lookup_lane import LookupLane
from workers.results import Result
from workers.routing_client import RoutingClient
from workers.routing_lane import RoutingLane


class Steps(Protocol):
    """What a worker process needs of its lane. All of it is safe for threads."""

    lane: LaneName

    def allowed(self) -> int:
        """How many jobs may be in work at once, now."""

    def permits(self, wanted: int) -> list[str | None]:
        """An entry for each event that may be reserved now."""

    def give_back(self, permits: list[str | None]) -> None:
        """Permits for which there was no event, or which were not needed."""

    def refresh(self) -> None:
        """Once every heartbeat. Raises ``RedisUnavailable``."""

    def pause(self) -> float:
        """Seconds until permits may be had, when there were none."""

    def handle(self, job: Job) -> Result:
        """Carry one event through. Raises the errors of ``workers.errors``."""


class LookupSteps:
    """The lookup lane: no permits, all slots at any time."""

    lane: LaneName = "lookup"

    def __init__(self, lane: LookupLane, slots: int) -> None:
        self._lane, self._slots = lane, slots

    def allowed(self) -> int:
        return self._slots

    def permits(self, wanted: int) -> list[str | None]:
        return [None] * wanted

    def give_back(self, permits: list[str | None]) -> None:
        pass

    def refresh(self) -> None:
        pass

    def pause(self) -> float:
        return 0.0

    def handle(self, job: Job) -> Result:
        return self._lane.handle(job.event)


class RoutingSteps:
    """The routing lane: breaker and concurrency limit around the call."""

    lane: LaneName = "routing"

    def __init__(
        self, lane: RoutingLane, client: RoutingClient, gate: BreakerGate, limit: ConcurrencyLimit
    ) -> None:
        self._lane, self._client, self._gate, self._limit = lane, client, gate, limit

    def allowed(self) -> int:
        return self._limit.allowed

    def permits(self, wanted: int) -> list[str | None]:
        return self._gate.permits(wanted)

    def give_back(self, permits: list[str | None]) -> None:
        self._gate.give_back([permit for permit in permits if permit is not None])

    def refresh(self) -> None:
        self._gate.refresh()

    def pause(self) -> float:
        return self._gate.wait

    def handle(self, job: Job) -> Result:
        def call(key: str, request: dict[str, Any]) -> dict[str, Any]:
            self._gate.check(job)
            try:
                answer = self._client.route(key, request)
            except Transient as error:
                if error.pushback:
                    self._limit.pushed_back()
                self._gate.report(job, good=False)
                if not job.probe:
                    self._gate.check(job)  # it is open by now: an outage, which burns no attempt
                raise
            except Permanent:  # the service is well; it is the request that is not
                self._gate.report(job, good=True)
                raise
            self._limit.succeeded()
            self._gate.report(job, good=True)
            return answer

        return self._lane.handle(job.event, call)
