"""The lanes on a real MongoDB, with a fake routing client, killed at a chosen store call."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pymongo.database import Database

from scheduler.breaker import Permits
from tests.support.samples import SOURCES
from workers.breaker_gate import BreakerGate
from workers.concurrency_limit import ConcurrencyLimit
from workers.ledger import Ledger
from workers.lookup_lane import LookupLane, UnknownShipments
from workers.routing_lane import RoutingLane
from workers.shipments import Shipments

Document = dict[str, Any]
UNKNOWN = UnknownShipments(patience_seconds=60, longest_wait_seconds=5)
ANSWER = {"route_id": "rt_1", "hub": "CAI"}


class Killed(BaseException):
    """Stands for SIGKILL: the product catches no ``BaseException``."""


class StoreCalls:
    """Records a lane's calls of ``Shipments`` and ``Ledger``, and kills the lane at one of them.

    allowed: calls before that one (None: no kill). takes_effect: whether it reaches MongoDB.
    """

    def __init__(self, allowed: int | None = None, takes_effect: bool = False) -> None:
        self._allowed, self._takes_effect = allowed, takes_effect
        self.names: list[str] = []

    def call(self, name: str, method: Callable[[], Any]) -> Any:
        if self._allowed is not None and len(self.names) >= self._allowed:
            if self._takes_effect:
                method()
            raise Killed(name)
        self.names.append(name)
        return method()


class _Recorded:
    """Passes every method call on through ``StoreCalls``."""

    def __init__(self, store: object, calls: StoreCalls) -> None:
        self._store, self._calls = store, calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        return lambda *a, **k: self._calls.call(name, lambda: method(*a, **k))


@dataclass
class FakeRoutingClient:
    """Keeps the calls; answers or fails. during: runs in each call, before the answer."""

    answer: Document = field(default_factory=lambda: ANSWER)
    failure: Exception | None = None
    during: Callable[[], object] = lambda: None
    calls: list[tuple[str, Document]] = field(default_factory=list)

    def route(self, key: str, request: Document) -> Document:
        self.calls.append((key, request))
        self.during()
        if self.failure:
            raise self.failure
        return self.answer


class _ClosedBreaker:
    def report(self, *_: object) -> Permits:
        return Permits("closed", 0)


def lookup_lane(database: Database[Document], calls: StoreCalls | None = None) -> LookupLane:
    calls = calls or StoreCalls()
    shipments: Any = _Recorded(Shipments(database), calls)
    ledger: Any = _Recorded(Ledger(database), calls)
    return LookupLane(
        SOURCES, shipments, ledger, UNKNOWN, slots=4, clock=time.time, uniform=random.random
    )


def routing_lane(
    database: Database[Document],
    client: FakeRoutingClient,
    calls: StoreCalls | None = None,
) -> RoutingLane:
    """With a breaker that stays closed."""
    calls = calls or StoreCalls()
    shipments: Any = _Recorded(Shipments(database), calls)
    ledger: Any = _Recorded(Ledger(database), calls)
    breaker: Any = _ClosedBreaker()
    fake: Any = client
    gate = BreakerGate(breaker, "boot", permit_seconds=60)
    return RoutingLane(SOURCES, shipments, ledger, fake, gate, ConcurrencyLimit(4))
