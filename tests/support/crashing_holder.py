"""A holder that dies at a chosen step: the real thing, wrapped so that it stops there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymongo.database import Database

from tests.support.samples import SOURCES
from workers.ledger import Ledger
from workers.lookup_lane import LookupLane, UnknownShipments
from workers.routing_lane import RoutingLane
from workers.shipments import Shipments

Document = dict[str, Any]
PATIENCE = UnknownShipments(patience=60, longest=5)


class Killed(BaseException):
    """The process is gone; no code of its own runs after this."""


class Life:
    """How many steps are left, and whether the last one still takes effect. steps: those taken."""

    def __init__(self, left: int | None = None, last_takes_effect: bool = False) -> None:
        self._left, self._last_takes_effect = left, last_takes_effect
        self.steps: list[str] = []

    def step(self, name: str, act: Callable[[], Any]) -> Any:
        if self._left is not None and len(self.steps) >= self._left:
            if self._last_takes_effect:
                act()
            raise Killed(name)
        self.steps.append(name)
        return act()


class Mortal:
    """Every method of the wrapped object is a step of its holder's life."""

    def __init__(self, whole: object, life: Life) -> None:
        self._whole, self._life = whole, life

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._whole, name)
        return lambda *a, **k: self._life.step(name, lambda: method(*a, **k))


def lookup_lane(database: Database[Document], life: Life | None = None) -> LookupLane:
    """The lookup lane of a holder with that life; an immortal one without."""
    life = life or Life()
    shipments: Any = Mortal(Shipments(database), life)
    ledger: Any = Mortal(Ledger(database), life)
    return LookupLane(SOURCES, shipments, ledger, PATIENCE)


def routing_lane(database: Database[Document], life: Life | None = None) -> RoutingLane:
    """The same for the routing lane."""
    life = life or Life()
    shipments: Any = Mortal(Shipments(database), life)
    ledger: Any = Mortal(Ledger(database), life)
    return RoutingLane(SOURCES, shipments, ledger)
