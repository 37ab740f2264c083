"""The queue beside its model, while somebody's hand is in the store."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from scheduler.constants import QUARANTINE
from scheduler.keys import LaneName
from tests.model.state_machine import IDS, Beside, ids, lanes, picks
from tests.support.queue_moves import KEYS


class BesideAHand(Beside):
    """With somebody whose hand is in the store: what is not as it should be is met, counted and
    survived as documented. The audit would rightly object, so that the model alone speaks."""

    def check(self, snapshot: dict[str, Any]) -> None:
        pass

    def the_books_are_read(self, news: list[str]) -> None:
        pass

    @rule(id=ids | st.just("nobody:1"), lane=lanes, source=st.sampled_from(["a", QUARANTINE]))
    def a_hand_repeats_an_id(self, id: str, lane: LaneName, source: str) -> None:
        self.fill(False)
        if source == QUARANTINE:
            self.suspects(lane, 2, 2, 0, [])
        if id in self.model.ready.get((lane, source), ()):
            return
        self.model.line_up(id, lane, source, head=True)
        for key, content in (
            (KEYS.ready(lane, source), self.model.ready[lane, source]),
            (KEYS.turn(lane), self.model.turn[lane]),
        ):
            self.store.delete(key)
            self.store.rpush(key, *content)
        while int(self.store.llen(KEYS.wake(lane))) < self.model.wake[lane]:
            self.store.lpush(KEYS.wake(lane), "1")
        self.all_is_taken(lane)

    def one_ready(self, pick: int) -> str:
        """An event that waits to be taken; given back for it, if need be."""
        self.fill(False)
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

    def all_is_taken(self, lane: LaneName) -> None:
        for _ in range(3):
            self.reserve(lane, 9, ("w1", "b1"), 1, 0)

    @rule(pick=picks)
    def a_hand_moves_an_event_to_the_other_lane(self, pick: int) -> None:
        id = self.one_ready(pick)
        event = self.model.events.get(id)
        if event is None:
            return
        for place, waiting in list(self.model.ready.items()):
            while id in waiting:
                waiting.remove(id)
                self.store.lrem(KEYS.ready(*place), 0, id)
            if not waiting:
                del self.model.ready[place]
        self.a_hand_repeats_an_id(id, "routing" if event.lane == "lookup" else "lookup", "a")

    @rule(lane=lanes)
    def a_hand_gives_a_turn_to_nobody(self, lane: LaneName) -> None:
        self.fill(False)
        if "ghost" not in self.model.turn[lane]:
            self.model.turn[lane].append("ghost")
            self.store.rpush(KEYS.turn(lane), "ghost")
        self.reserve(lane, 4, ("w1", "b1"), 1, 0)

    @rule(
        id=ids | st.just("nobody:1"),
        lane=lanes,
        what=st.sampled_from(["promote", "reclaim", "replay", "drop"]),
    )
    def a_hand_adds_to_a_set(self, id: str, lane: LaneName, what: str) -> None:
        """An id that does not belong there; then comes the verb that meets it."""
        self.fill(False)
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
            self.the_scheduler_runs(4, 500)
        else:
            getattr(self, what)(0, id, True)

    @rule(pick=picks, verb=st.sampled_from(["replay", "drop"]))
    def a_hand_takes_from_the_dead(self, pick: int, verb: str) -> None:
        id = self.one_dead(pick, IDS[0], False)
        if self.model.dead.pop(id, None):
            self.store.zrem(KEYS.dead, id)
            getattr(self, verb)(0, id, True)

    @rule(pick=picks, dead=st.booleans())
    def a_hand_deletes_a_body(self, pick: int, dead: bool) -> None:
        id = self.one_dead(pick, IDS[0], False) if dead else self.one_ready(pick)
        event = self.model.events.get(id)
        if event is not None and event.body is not None and event.state in ("ready", "dead"):
            self.store.delete(KEYS.body(id))
            event.body = None
            self.all_is_taken(event.lane)
            self.replay(0, id, True)

    @rule(pick=picks, name=st.sampled_from(["lane", "source"]))
    def a_hand_takes_a_field(self, pick: int, name: str) -> None:
        id = self.one_ready(pick)
        event = self.model.events.get(id)
        if event is not None:
            self.store.hdel(KEYS.event(id), name)
            event.lacks = name
            self.all_is_taken(event.lane)
