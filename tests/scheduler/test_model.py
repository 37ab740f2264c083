"""The queue beside its model: whatever is said to both, in whatever order, they agree."""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from scheduler.errors import NotHolder
from scheduler.events import Reserved
from scheduler.keys import LANES, Lane
from scheduler.queue import Queue
from tests.scheduler.audit import audit
from tests.scheduler.model import MAX_CRASHES, Model, seen
from tests.scheduler.snapshot import dump
from tests.scheduler.steps import accept, expire, make_due, promote

ids = st.sampled_from([f"{source}:{n}" for source in "abc" for n in range(3)])
lanes = st.sampled_from(LANES)
owners = st.tuples(st.sampled_from(["w1", "w2"]), st.sampled_from(["b1", "b2"]))
pick = st.integers(0, 10**6)


class Beside(RuleBasedStateMachine):
    """``handles``: every reservation that was ever handed out, so that stale ones speak too."""

    def __init__(self, queue: Queue, store: Redis) -> None:
        super().__init__()
        store.flushall()
        self.queue, self.store, self.model = queue, store, Model()
        self.handles: list[tuple[Reserved, int]] = []

    @rule(id=ids)
    def accept(self, id: str) -> None:
        assert accept(self.queue, id).code == self.model.accept(id)

    @rule(lane=lanes, n=st.integers(1, 4), owner=owners, suspects=st.integers(0, 1))
    def reserve(self, lane: Lane, n: int, owner: tuple[str, str], suspects: int) -> None:
        first = self.model.serial
        expected = self.model.reserve(lane, n, owner, suspects)
        taken = self.queue.reserve(lane, n, owner=owner[0], boot=owner[1], lease=900,
                                   suspects=suspects)
        assert [event.id for event in taken] == expected
        for place, event in enumerate(taken):
            older = [handle.fence for handle, _ in self.handles if handle.id == event.id]
            assert event.fence > max(older, default=0)
            self.handles.append((event, first + 1 + place))

    def _say(self, at: int, verb: str, *args: Any, **more: Any) -> str | None:
        """The id, if the holder was heard; the model and the queue must agree on that."""
        event, serial = self.handles[at % len(self.handles)]
        lane: Lane = "lookup" if verb == "forward" else event.lane
        heard = True
        try:
            getattr(self.queue, verb)(event, *args, **more)
        except NotHolder:
            heard = False
        assert heard == self.model.holds(event.id, lane, serial)
        return event.id if heard else None

    @precondition(lambda self: self.handles)
    @rule(at=pick)
    def forward(self, at: int) -> None:
        if id := self._say(at, "forward"):
            event = self.model.events[id]
            event.lane, event.attempts, event.waits, event.crashes = "routing", 0, 0, 0
            self.model.push(id)

    @precondition(lambda self: self.handles)
    @rule(at=pick)
    def done(self, at: int) -> None:
        if id := self._say(at, "done", "recorded"):
            self.model.events[id].state = "done"

    @precondition(lambda self: self.handles)
    @rule(at=pick)
    def retry(self, at: int) -> None:
        if id := self._say(at, "retry", 900, "timeout"):
            event = self.model.events[id]
            event.state, event.due = "retry", False
            event.attempts, event.waits = event.attempts + 1, 0

    @precondition(lambda self: self.handles)
    @rule(at=pick, delay=st.sampled_from([0, 900]))
    def defer(self, at: int, delay: int) -> None:
        if id := self._say(at, "defer", delay, "mongo_away"):
            event = self.model.events[id]
            if delay:
                event.state, event.due = "retry", False
                event.waits += 1
            else:
                self.model.push(id, head=True)

    @precondition(lambda self: self.handles)
    @rule(at=pick, attempts=st.integers(0, 1))
    def bury(self, at: int, attempts: int) -> None:
        if id := self._say(at, "bury", "permanent", attempts=attempts):
            event = self.model.events[id]
            event.state = "dead"
            event.attempts += attempts

    @precondition(lambda self: self.handles)
    @rule(at=pick)
    def extend(self, at: int) -> None:
        event, serial = self.handles[at % len(self.handles)]
        lost = self.queue.extend(event.lane, [(event.id, event.gen)], 900)
        assert (lost == []) == self.model.holds(event.id, event.lane, serial)
        if not lost:
            self.model.events[event.id].due = False

    @rule(id=ids)
    def time_passes(self, id: str) -> None:
        event = self.model.events.get(id)
        if event is not None and event.state in ("retry", "locked"):
            event.due = True
            if event.state == "retry":
                make_due(self.store, id)
            else:
                expire(self.store, id, lane=event.lane)

    @rule()
    def promote(self) -> None:
        promote(self.queue, max_crashes=MAX_CRASHES, lease=900)
        self.model.promote()

    @rule(lane=lanes, owner=owners)
    def reclaim(self, lane: Lane, owner: tuple[str, str]) -> None:
        locked = list(dump(self.store).get(f"locks:{lane}", {}))
        held = [id for id in locked if self.model.events[id].owner == owner]
        expected = self.model.reclaim(lane, *owner, locked)
        assert self.queue.reclaim(lane, *owner, MAX_CRASHES, held) == expected

    @rule(id=ids)
    def replay(self, id: str) -> None:
        assert self.queue.replay(id) == self.model.replay(id)

    @rule(id=ids)
    def drop(self, id: str) -> None:
        event = self.model.events.get(id)
        if event is not None and event.state == "dead":
            event.state = "dropped"
        assert self.queue.drop(id) == (event.state if event else "")

    @invariant()
    def they_agree(self) -> None:
        assert seen(dump(self.store)) == self.model.view()

    @invariant()
    def the_books_balance(self) -> None:
        audit(self.store)


def test_the_queue_does_what_its_model_does(bare_queue: Queue, store: Redis) -> None:
    run_state_machine_as_test(
        partial(Beside, bare_queue, store),  # type: ignore[arg-type]
        settings=settings(max_examples=25, stateful_step_count=40, deadline=None,
                          suppress_health_check=list(HealthCheck)),
    )
