"""The model-based test of the queue with manual corruption: rules that change the store
directly."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from scheduler.constants import QUARANTINE
from scheduler.keys import LaneName
from tests.model.state_machine import IDS, QueueStateMachine, ids, lanes, picks
from tests.support.queue_moves import KEYS


class CorruptedQueueStateMachine(QueueStateMachine):
    """The verbs meet what does not fit, count it and continue as documented. The audit would report
    the corruption, so only the model is compared."""

    def check(self, snapshot: dict[str, Any]) -> None:
        pass

    def counters_are_read(self, news: list[str]) -> None:
        pass

    @rule(id=ids | st.just("unknown:1"), lane=lanes, source=st.sampled_from(["a", QUARANTINE]))
    def repeat_an_id(self, id: str, lane: LaneName, source: str) -> None:
        self.set_maxmemory(False)
        if source == QUARANTINE:
            self.quarantine_events(lane, 2, 2, 0, [])
        if id in self.model.ready.get((lane, source), ()):
            return
        self.model.push_id(id, lane, source, head=True)
        for key, content in (
            (KEYS.ready(lane, source), self.model.ready[lane, source]),
            (KEYS.turn(lane), self.model.turn[lane]),
        ):
            self.store.delete(key)
            self.store.rpush(key, *content)
        while int(self.store.llen(KEYS.wake(lane))) < self.model.wake[lane]:
            self.store.lpush(KEYS.wake(lane), "1")
        self.reserve_all(lane)

    def ready_id(self, pick: int) -> str:
        """A ready event; one is given back if there is none."""
        self.set_maxmemory(False)
        for _ in range(2):
            ready = [
                id
                for id, event in sorted(self.model.events.items())
                if event.state == "ready" and not event.lacks
            ]
            if ready:
                return ready[pick % len(ready)]
            self.defer(pick, False, 0, "", None)
        return ""

    def reserve_all(self, lane: LaneName) -> None:
        for _ in range(3):
            self.reserve(lane, 9, ("w1", "b1"), 1, 0)

    @rule(pick=picks)
    def move_an_event_to_the_other_lane(self, pick: int) -> None:
        id = self.ready_id(pick)
        event = self.model.events.get(id)
        if event is None:
            return
        for place, waiting in list(self.model.ready.items()):
            while id in waiting:
                waiting.remove(id)
                self.store.lrem(KEYS.ready(*place), 0, id)
            if not waiting:
                del self.model.ready[place]
        self.repeat_an_id(id, "routing" if event.lane == "lookup" else "lookup", "a")

    @rule(lane=lanes)
    def add_a_source_without_events(self, lane: LaneName) -> None:
        self.set_maxmemory(False)
        if "ghost" not in self.model.turn[lane]:
            self.model.turn[lane].append("ghost")
            self.store.rpush(KEYS.turn(lane), "ghost")
        self.reserve(lane, 4, ("w1", "b1"), 1, 0)

    @rule(
        id=ids | st.just("unknown:1"),
        lane=lanes,
        what=st.sampled_from(["promote", "reclaim", "replay", "drop"]),
    )
    def add_an_id_to_a_set(self, id: str, lane: LaneName, what: str) -> None:
        """Add an id where it does not belong, then run the verb that meets it."""
        self.set_maxmemory(False)
        model = self.model
        members, key = {
            "promote": (model.retrying, KEYS.retry),
            "reclaim": (model.locks[lane], KEYS.locks(lane)),
        }.get(what, (model.dead, KEYS.dead))
        if id not in members:
            members[id] = 1000
            self.store.zadd(key, {id: 1000})
        if what == "promote":
            self.promote(500, 100)
        elif what == "reclaim":
            for boot in ("b1", "b2"):
                self.reclaim(lane, ("w1", boot), True)
            self.scheduler_runs(4, 500)
        else:
            getattr(self, what)(0, id, True)

    @rule(pick=picks, verb=st.sampled_from(["replay", "drop"]))
    def remove_a_dead_letter_from_its_set(self, pick: int, verb: str) -> None:
        id = self.dead_letter_id(pick, IDS[0], False)
        if self.model.dead.pop(id, None):
            self.store.zrem(KEYS.dead, id)
            getattr(self, verb)(0, id, True)

    @rule(pick=picks, dead=st.booleans())
    def delete_a_body(self, pick: int, dead: bool) -> None:
        id = self.dead_letter_id(pick, IDS[0], False) if dead else self.ready_id(pick)
        event = self.model.events.get(id)
        if event is not None and event.body is not None and event.state in ("ready", "dead"):
            self.store.delete(KEYS.body(id))
            event.body = None
            self.reserve_all(event.lane)
            self.replay(0, id, True)

    @rule(pick=picks, name=st.sampled_from(["lane", "source"]))
    def delete_a_field(self, pick: int, name: str) -> None:
        id = self.ready_id(pick)
        event = self.model.events.get(id)
        if event is not None:
            self.store.hdel(KEYS.event(id), name)
            event.lacks = name
            self.reserve_all(event.lane)
