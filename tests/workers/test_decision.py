"""The routing decision: pure, and the same whatever order a shipment's events arrive in."""

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
from workers.canonical import CanonicalEvent
from workers.decision import Decision, decide

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
class Seen:
    """What a shipment keeps of its events."""

    status: str | None = "label_created"
    last_event_at: datetime | None = None

    def after(self, events: Iterable[CanonicalEvent]) -> Seen:
        seen = self
        for one in events:
            if decision(one, seen).apply:
                seen = Seen(one.status.value, one.occurred_at)
        return seen


def decision(
    event: CanonicalEvent, seen: Seen | None = None, *, active: bool = True, order_open: bool = True
) -> Decision:
    seen = seen or Seen()
    return decide(
        event,
        status=seen.status,
        last_event_at=seen.last_event_at,
        active=active,
        order_open=order_open,
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[CanonicalEvent], list[CanonicalEvent]]:
    """Events of distinct times of which at most the latest is terminal, and another order."""
    statuses = draw(st.lists(st.sampled_from(MOVING), max_size=7))
    last = draw(st.sampled_from(list(Status)))
    events = [event(status, minute) for minute, status in enumerate([*statuses, last])]
    return events, draw(st.permutations(events))


@given(histories())
def test_any_order_of_events_ends_in_the_latest_status(
    history: tuple[list[CanonicalEvent], list[CanonicalEvent]],
) -> None:
    events, shuffled = history
    assert Seen().after(shuffled) == Seen(events[-1].status.value, events[-1].occurred_at)


@given(st.lists(st.sampled_from(list(Status)), min_size=1, max_size=4))
def test_any_order_of_events_of_one_time_ends_in_the_status_of_the_highest_rank(
    statuses: list[Status],
) -> None:
    highest = max(statuses, key=lambda status: status.rank)
    for order in permutations(statuses):
        assert Seen().after(event(status) for status in order).status == highest.value


@given(st.lists(st.sampled_from(list(Status)), max_size=6).flatmap(st.permutations))
def test_once_a_terminal_status_is_applied_no_later_time_moves_the_shipment(
    statuses: list[Status],
) -> None:
    for terminal in TERMINAL:
        seen = Seen(terminal.value, RECEIVED)
        for minute, status in enumerate(statuses, start=1):
            later = decision(event(status, minute), seen)
            assert later == Decision(apply=False, route=False, reason="absorbed")


@given(st.lists(st.tuples(st.sampled_from(list(Status)), st.integers(-3, 3)), max_size=8))
def test_repeating_a_whole_history_changes_nothing(history: list[tuple[Status, int]]) -> None:
    events = [event(status, minute) for status, minute in history]
    once = Seen().after(events)
    assert once.after(events) == once


@given(
    st.sampled_from(list(Status)),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, *[status.value for status in Status], "written by another"]),
    st.one_of(st.none(), st.integers(-2, 2)),
)
def test_a_route_is_asked_for_exactly_when_the_design_says_so(
    status: Status, active: bool, order_open: bool, current: str | None, minute: int | None
) -> None:
    last = None if minute is None else RECEIVED + timedelta(minutes=minute)
    found = decision(event(status), Seen(current, last), active=active, order_open=order_open)
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
def test_the_reason_says_what_kept_it_from_a_route(
    active: bool, order_open: bool, status: Status, reason: str
) -> None:
    found = decision(event(status), active=active, order_open=order_open)
    assert found == Decision(apply=True, route=reason == "route", reason=reason)
    assert found.outcome == "recorded"


def test_a_late_event_changes_nothing_and_its_outcome_says_late() -> None:
    found = decision(event(Status.EXCEPTION, -1), Seen("in_transit", RECEIVED))
    assert found == Decision(apply=False, route=False, reason="late")
    assert found.outcome == "late"


def test_the_same_event_again_is_late() -> None:
    assert decision(event(Status.DELAYED), Seen("delayed", RECEIVED)).reason == "late"


def test_a_status_that_another_system_wrote_absorbs_nothing_and_loses_every_tie() -> None:
    assert decision(event(Status.LABEL_CREATED), Seen("on the moon", RECEIVED)).apply


def test_a_terminal_status_without_a_time_absorbs_too() -> None:
    assert decision(event(Status.EXCEPTION), Seen("delivered", None)).reason == "absorbed"


@given(st.booleans(), st.booleans(), st.text())
def test_a_decision_comes_back_from_the_ledger_as_it_was(
    apply: bool, route: bool, reason: str
) -> None:
    made = Decision(apply, route, reason)
    assert Decision.of(made.document()) == made
