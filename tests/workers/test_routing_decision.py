"""The routing decision, which does not depend on the order in which a shipment's events arrive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.sources.statuses import Status
from tests.support.samples import RECEIVED
from workers.canonical_event import CanonicalEvent
from workers.routing_decision import Decision, decide

MOVING = [status for status in Status if not status.terminal]
TERMINAL = [status for status in Status if status.terminal]
ROUTED = {"picked_up", "exception", "delivery_failed", "address_changed", "delayed"}


def event(status: Status, minute: int = 0) -> CanonicalEvent:
    return CanonicalEvent(
        f"bench:{status}-{minute}",
        "bench",
        "SHP-1",
        status,
        RECEIVED + timedelta(minutes=minute),
        RECEIVED,
    )


@dataclass(frozen=True)
class ShipmentState:
    """What a shipment keeps of its events."""

    status: str | None = "label_created"
    last_event_at: datetime | None = None

    def after(self, events: Iterable[CanonicalEvent]) -> ShipmentState:
        state = self
        for one in events:
            if decision(one, state).apply:
                state = ShipmentState(one.status.value, one.occurred_at)
        return state


def decision(
    event: CanonicalEvent,
    state: ShipmentState | None = None,
    *,
    active: bool = True,
    order_open: bool = True,
) -> Decision:
    state = state or ShipmentState()
    return decide(
        event,
        status=state.status,
        last_event_at=state.last_event_at,
        active=active,
        order_open=order_open,
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[CanonicalEvent], list[CanonicalEvent]]:
    """Events of distinct times, at most the latest terminal; and the same in another order."""
    statuses = draw(st.lists(st.sampled_from(MOVING), max_size=7))
    last = draw(st.sampled_from(list(Status)))
    events = [event(status, minute) for minute, status in enumerate([*statuses, last])]
    return events, draw(st.permutations(events))


@given(histories())
def test_any_order_of_events_ends_in_the_latest_status(
    history: tuple[list[CanonicalEvent], list[CanonicalEvent]],
) -> None:
    events, shuffled = history
    assert ShipmentState().after(shuffled) == ShipmentState(
        events[-1].status.value, events[-1].occurred_at
    )


@given(st.lists(st.sampled_from(list(Status)), min_size=1, max_size=4))
def test_any_order_of_events_of_one_time_ends_in_the_status_of_the_highest_rank(
    statuses: list[Status],
) -> None:
    highest = max(statuses, key=lambda status: status.rank)
    for order in permutations(statuses):
        assert ShipmentState().after(event(status) for status in order).status == highest.value


@given(st.lists(st.sampled_from(list(Status)), max_size=6).flatmap(st.permutations))
def test_a_terminal_status_absorbs_every_event_of_a_later_time(
    statuses: list[Status],
) -> None:
    for terminal in TERMINAL:
        state = ShipmentState(terminal.value, RECEIVED)
        for minute, status in enumerate(statuses, start=1):
            later = decision(event(status, minute), state)
            assert later == Decision(apply=False, route=False, reason="absorbed")


@given(st.lists(st.tuples(st.sampled_from(list(Status)), st.integers(-3, 3)), max_size=8))
def test_repeating_a_whole_history_changes_nothing(history: list[tuple[Status, int]]) -> None:
    events = [event(status, minute) for status, minute in history]
    once = ShipmentState().after(events)
    assert once.after(events) == once


@given(
    st.sampled_from(list(Status)),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, *[status.value for status in Status], "unknown to us"]),
    st.one_of(st.none(), st.integers(-2, 2)),
)
def test_a_route_is_asked_for_exactly_under_the_documented_conditions(
    status: Status, active: bool, order_open: bool, current: str | None, minute: int | None
) -> None:
    last = None if minute is None else RECEIVED + timedelta(minutes=minute)
    found = decision(
        event(status), ShipmentState(current, last), active=active, order_open=order_open
    )
    wanted = status.value in ROUTED and active and order_open and found.apply
    assert found.route is wanted


@pytest.mark.parametrize(
    ("active", "order_open", "status", "reason"),
    [
        (True, True, Status.EXCEPTION, "route"),
        (False, True, Status.EXCEPTION, "shipment_inactive"),
        (True, False, Status.EXCEPTION, "order_not_open"),
        (True, True, Status.IN_TRANSIT, "status_needs_no_route"),
    ],
)
def test_the_reason_names_the_condition_that_was_not_met(
    active: bool, order_open: bool, status: Status, reason: str
) -> None:
    found = decision(event(status), active=active, order_open=order_open)
    assert found == Decision(apply=True, route=reason == "route", reason=reason)
    assert found.outcome == "recorded"


def test_a_late_event_changes_nothing_and_has_the_outcome_late() -> None:
    found = decision(event(Status.EXCEPTION, -1), ShipmentState("in_transit", RECEIVED))
    assert found == Decision(apply=False, route=False, reason="late")
    assert found.outcome == "late"


def test_the_same_event_again_is_late() -> None:
    assert decision(event(Status.DELAYED), ShipmentState("delayed", RECEIVED)).reason == "late"


def test_an_unknown_status_absorbs_nothing_and_ranks_below_all_others() -> None:
    assert decision(event(Status.LABEL_CREATED), ShipmentState("on the moon", RECEIVED)).apply


def test_a_terminal_status_without_a_time_absorbs_too() -> None:
    assert decision(event(Status.EXCEPTION), ShipmentState("delivered", None)).reason == "absorbed"


@given(st.booleans(), st.booleans(), st.text())
def test_a_decision_survives_its_form_in_the_ledger(apply: bool, route: bool, reason: str) -> None:
    made = Decision(apply, route, reason)
    assert Decision.of(made.document()) == made
