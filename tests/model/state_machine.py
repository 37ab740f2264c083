"""The model-based test of the queue: each rule runs a verb on the real queue and on the model.

After each verb the reply and the whole store must equal the model's, in every field, and the store
is audited by rules that do not use the model. No test sleeps: time passes by moving every time in
the store into the past.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
)

from scheduler.accept_command import Caps
from scheduler.errors import NotHolder, RedisUnavailable
from scheduler.events import Reserved
from scheduler.inspector import Counters, Inspector
from scheduler.keys import LANES, LaneName
from scheduler.queue import Queue
from scheduler.scripts import FOLDER, load
from tests.model.model import MAX_CRASHES, Model, OutOfMemory
from tests.model.time_travel import ClockedConnection, let_time_pass
from tests.support.queue_moves import accept
from tests.support.servers import RedisServer
from tests.support.store_audit import audit
from tests.support.store_snapshot import dump

LEASE, WINDOW = 10, 100  # seconds
ROOMY_CAPS = Caps(1000, 10**6, 100)
SLICE = 4  # seconds, less than half a lease: promote sees no outage between two runs
FENCE_AHEAD_OF_CLOCK = 4_000_000_000_000_000  # µs, in the year 2096

IDS = [f"{source}:{n}" for n in range(6) for source in "abc"]
ids = st.sampled_from(IDS)
lanes = st.sampled_from(LANES)
owners = st.tuples(st.sampled_from(["w1", "w2"]), st.sampled_from(["b1", "b2"]))
picks = st.integers(0, 99)
rarely = st.sampled_from([False, False, False, True])
batches = st.sampled_from([500, 1, 2])
quotas = st.sampled_from([(0, 0), (0.05, 1), (0.3, 2)])  # events a second, burst

Verb = Callable[[Model, int], Any]


class QueueStateMachine(RuleBasedStateMachine):
    """reservations: every one that reserve ever returned, so that stale holders are tested too."""

    def __init__(self, server: RedisServer) -> None:
        super().__init__()
        self.store, self.model = server.client(), Model()
        self.store.config_set("maxmemory", 0)
        self.store.flushall()
        self.connection = ClockedConnection(server.url)
        for path in FOLDER.glob("*.lua"):
            self.store.script_load(load(path.stem).text)
        self.queue = Queue(self.connection)
        self.reservations: list[Reserved] = []

    def teardown(self) -> None:
        self.connection.close()
        self.store.close()

    def run_both(self, call: Callable[[], Any], verb: Verb) -> Any:
        """Run a verb on the queue and on the model. Returns the reply. For one of the ms in which
        the verb may have run, the model must give the same reply and the same store."""
        answer = _answer(call)
        first, last = self.connection.span
        return self.compare(answer, verb, range(first // 1000, last // 1000 + 1))

    def compare(self, answer: Any, verb: Verb, span: range) -> Any:
        snapshot = dump(self.store)
        self.check(snapshot)
        store = {key: content for key, content in snapshot.items() if not key.endswith("(ttl)")}
        for now in span:
            model = deepcopy(self.model) if len(span) > 1 else self.model
            expected, view = _answer(partial(verb, model, now)), model.view(now)
            if (expected, view) == (answer, store) or now == span[-1]:
                break
        assert expected == answer
        assert view == store
        self.model = model
        return answer

    def check(self, snapshot: dict[str, Any]) -> None:
        audit(snapshot)

    # ---- the edge

    @initialize(some=st.lists(ids, max_size=6))
    def begin(self, some: list[str]) -> None:
        for id in some:
            self.accept(id, "d1", ROOMY_CAPS, (0, 0))

    @rule(id=ids, digest=st.sampled_from(["d1", "d2"]), quota=quotas, full=rarely)
    def accept_with_room(
        self, id: str, digest: str, quota: tuple[float, float], full: bool
    ) -> None:
        was = self.model.full
        self.set_maxmemory(full)
        self.accept(id, digest, ROOMY_CAPS, quota)
        self.set_maxmemory(was)

    @rule(source=st.sampled_from("ab"), quota=quotas, full=rarely)
    def accept_over_the_quota(self, source: str, quota: tuple[float, float], full: bool) -> None:
        was = self.model.full
        new = [id for id in IDS if id not in self.model.events and id.startswith(source)]
        for id in new[:3]:
            self.accept(id, "d1", ROOMY_CAPS, quota)
            self.set_maxmemory(full)
        self.set_maxmemory(was)

    @rule(
        id=ids,
        cap=st.sampled_from(["events", "bytes", "dead"]),
        room=st.integers(0, 1),
        full=rarely,
    )
    def accept_at_a_cap(self, id: str, cap: str, room: int, full: bool) -> None:
        """One too few, or exactly enough room."""
        if cap == "dead":
            self.dead_letter_id(0, id, False)
        stats, was, size = self.model.stats, self.model.full, len(self.body(id, "d1"))
        caps = {
            "events": Caps(stats["backlog"] + room, 10**6, 100),
            "bytes": Caps(1000, stats["backlog_bytes"] + size - 1 + room, 100),
            "dead": Caps(1000, 10**6, len(self.model.dead) + room),
        }[cap]
        self.set_maxmemory(full)
        self.accept(id, "d1", caps, (0, 0))
        self.set_maxmemory(was)

    def body(self, id: str, digest: str) -> bytes:
        return f'{{"{id}":"{digest}{"x" * len(self.reservations)}"}}'.encode()

    def accept(self, id: str, digest: str, caps: Caps, quota: tuple[float, float]) -> None:
        body = self.body(id, digest)
        self.run_both(
            lambda: accept(self.queue, id, body=body, digest=digest, caps=caps, quota=quota),
            lambda model, now: model.accept(now, id, body, digest, caps, *quota),
        )

    # ---- holders

    @rule(
        lane=lanes,
        n=st.integers(1, 4),
        owner=owners,
        quarantined=st.sampled_from([1, 1, 0]),
        held=st.sampled_from([0, 1]),
    )
    def reserve(
        self, lane: LaneName, n: int, owner: tuple[str, str], quarantined: int, held: int
    ) -> None:
        if not self.model.turn[lane] and n > 1:  # prefer a lane with ready events
            lane = "routing" if lane == "lookup" else "lookup"
        taken = _answer(
            lambda: self.queue.reserve(
                lane,
                n,
                owner=owner[0],
                boot=owner[1],
                lease_seconds=LEASE,
                quarantined=quarantined,
                held=held,
                max_crashes=MAX_CRASHES,
            )
        )
        first, last = self.connection.span
        # Fences drawn from the clock (others are the old one + 1); one reserve uses one time.
        drawn = [event.fence for event in taken if first <= event.fence <= last]
        span = {micros // 1000 for micros in drawn[:1] or (first, last)}

        def verb(model: Model, now: int) -> list[Reserved]:
            return model.reserve(
                now, drawn[0] if drawn else first, lane, n, owner, LEASE * 1000, quarantined, held
            )

        self.reservations += self.compare(taken, verb, range(min(span), max(span) + 1))

    def reservation(self, pick: int, stale: bool) -> Reserved | None:
        """A reservation: one that is held (made if there is none), or if stale any that ever
        was."""
        if not stale and not self.held():
            self.reserve_something()
        some = self.reservations if stale else self.held()
        return some[-1 - pick % len(some)] if some else None

    def held(self) -> list[Reserved]:
        return [x for x in self.reservations if self.model.holds(x, x.lane)]

    def reserve_something(self) -> None:
        """Reserve an event, so that a rule has one to act on."""
        if not any(self.model.turn.values()):
            new = [id for id in IDS if id not in self.model.events]
            self.accept(new[0] if new else IDS[0], "d1", ROOMY_CAPS, (0, 0))
        self.reserve("lookup", 2, ("w1", "b1"), 1, 0)

    def run_holder_verb(
        self,
        pick: int,
        stale: bool,
        verb: str,
        model_verb: Callable[..., bool],
        *args: Any,
        **more: Any,
    ) -> None:
        reservation = self.reservation(pick, stale)
        if reservation is None:
            return

        def call() -> bool:
            try:
                getattr(self.queue, verb)(reservation, *args, **more)
            except NotHolder:
                return False
            return True

        self.run_both(call, lambda model, now: model_verb(model, now, reservation))

    @rule(pick=picks, stale=rarely)
    def forward(self, pick: int, stale: bool) -> None:
        self.run_holder_verb(pick, stale, "forward", Model.forward)

    @rule(pick=picks, stale=rarely, outcome=st.sampled_from(["routed", "recorded"]))
    def done(self, pick: int, stale: bool, outcome: str) -> None:
        self.run_holder_verb(
            pick, stale, "done", lambda m, now, x: m.done(now, x, outcome), outcome
        )

    @rule(pick=picks, stale=rarely, delay=st.sampled_from([0, 5, 30]))
    def retry(self, pick: int, stale: bool, delay: int) -> None:
        self.run_holder_verb(
            pick,
            stale,
            "retry",
            lambda m, now, x: m.retry(now, x, delay * 1000, "timeout"),
            delay,
            "timeout",
        )

    @rule(
        pick=picks,
        stale=rarely,
        delay=st.sampled_from([0, 5, 30]),
        route=st.sampled_from(["", "r1"]),
        floor=st.sampled_from([None, 17, FENCE_AHEAD_OF_CLOCK]),
    )
    def defer(self, pick: int, stale: bool, delay: int, route: str, floor: int | None) -> None:
        self.run_holder_verb(
            pick,
            stale,
            "defer",
            lambda m, now, x: m.defer(now, x, delay * 1000, "unavailable", floor, route),
            delay,
            "unavailable",
            fence=floor,
            route=route.encode(),
        )

    @rule(source=st.sampled_from("ab"))
    def give_back_while_others_are_ready(self, source: str) -> None:
        new = [id for id in IDS if id not in self.model.events and id.startswith(source)]
        for id in new[:2]:
            self.accept(id, "d1", ROOMY_CAPS, (0, 0))
        self.reserve("lookup", 1, ("w1", "b1"), 0, 0)
        self.defer(0, False, 0, "", None)

    @rule(pick=picks, stale=rarely, error=st.sampled_from(["", "no"]), attempts=st.integers(0, 1))
    def bury(self, pick: int, stale: bool, error: str, attempts: int) -> None:
        self.run_holder_verb(
            pick,
            stale,
            "bury",
            lambda m, now, x: m.bury(now, x, "permanent", error, attempts),
            "permanent",
            error,
            attempts=attempts,
        )

    @rule(lane=lanes, which=st.lists(st.tuples(picks, st.booleans()), min_size=1, max_size=3))
    def extend(self, lane: LaneName, which: list[tuple[int, bool]]) -> None:
        held = [x for x in (self.reservation(*one) for one in which) if x is not None]
        if held:
            self.run_both(
                lambda: self.queue.extend(lane, [(x.id, x.gen) for x in held], LEASE),
                lambda model, now: model.extend(now, lane, held, LEASE * 1000),
            )

    @rule(pick=picks, same_boot=st.booleans(), forgets=st.booleans())
    def reclaim_what_is_held(self, pick: int, same_boot: bool, forgets: bool) -> None:
        reservation = self.reservation(pick, False)
        if reservation is not None:
            holder = self.model.events[reservation.id]
            boot = str(holder.boot) if same_boot else "b9"
            self.reclaim(reservation.lane, (str(holder.owner), boot), forgets)

    def reclaim(self, lane: LaneName, owner: tuple[str, str], forgets: bool) -> None:
        locks, events = self.model.locks[lane], self.model.events
        held = [] if forgets else [id for id in locks if id in events]
        self.run_both(
            lambda: self.queue.reclaim(lane, *owner, MAX_CRASHES, held),
            lambda model, now: model.reclaim(now, lane, *owner, held),
        )

    @rule(lane=lanes, times=st.integers(1, 4), n=st.sampled_from([1, 3]))
    def crash(self, lane: LaneName, times: int, n: int) -> None:
        """A worker that crashes each time it reserves."""
        for _ in range(times):
            if not self.model.locks[lane]:
                self.reserve_something()
            if self.model.turn[lane]:
                self.reserve(lane, n, ("w1", "b1"), 1, 0)
            self.reclaim(lane, ("w1", "b2"), True)

    @rule(
        lane=lanes,
        crashes=st.integers(2, MAX_CRASHES - 1),
        many=st.integers(1, 3),
        others=st.integers(0, 6),
        asks=st.lists(
            st.tuples(owners, st.integers(1, 6), st.integers(0, 1), st.integers(0, 1)), max_size=5
        ),
    )
    def quarantine_events(
        self,
        lane: LaneName,
        crashes: int,
        many: int,
        others: int,
        asks: list[tuple[tuple[str, str], int, int, int]],
    ) -> None:
        """Quarantined events, exclusive ones too, with others ready; several callers reserve, with
        and without events that they hold."""
        self.set_maxmemory(False)
        self.reserve_something()
        if lane == "routing":
            self.forward(0, False)
        self.crash(lane, crashes, many)
        for id in [id for id in IDS if id not in self.model.events][:others]:
            self.accept(id, "d1", ROOMY_CAPS, (0, 0))
        for owner, n, quarantined, held in [*asks, *asks[:2]]:
            self.reserve(lane, n, owner, quarantined, held)

    # ---- scheduler and operators

    @rule(batch=batches, spare=st.integers(-1, 1), guard=st.sampled_from([0, 5, 2 * WINDOW]))
    def promote_with_many_tombstones(self, batch: int, spare: int, guard: int) -> None:
        """One tombstone too many, exactly the maximum, or room for one more."""
        self.done(0, False, "recorded")
        self.promote(batch, max(0, len(self.model.finished) + spare), guard)

    def promote(self, batch: int, most: int, guard: int = 0) -> None:
        self.run_both(
            lambda: self.queue.promote(
                lease_seconds=LEASE,
                max_crashes=MAX_CRASHES,
                dedup_window_seconds=WINDOW,
                tombstones_max=most,
                remember_at_least_seconds=guard,
                batch=batch,
            ),
            lambda model, now: model.promote(
                now, LEASE * 1000, WINDOW * 1000, most, guard * 1000, batch
            ),
        )

    @rule(seconds=st.sampled_from([0.001, 1, 6, 11, 40, 110]))
    def time_passes(self, seconds: float) -> None:
        ms = round(seconds * 1000)
        self.store.config_set("maxmemory", 0)
        let_time_pass(self.store, ms)
        self.model.pass_time(ms)
        self.set_maxmemory(self.model.full)

    @rule(slices=st.integers(1, 4), batch=batches)
    def scheduler_runs(self, slices: int, batch: int) -> None:
        for _ in range(slices):
            self.time_passes(SLICE)
            self.promote(batch, 100)

    @rule(
        pick=picks, verb=st.sampled_from(["retry", "defer"]), batch=batches, many=st.integers(1, 3)
    )
    def retries_become_due(self, pick: int, verb: str, batch: int, many: int) -> None:
        for _ in range(many):
            getattr(self, verb)(pick, False, 5, *(["", None] if verb == "defer" else []))
        self.time_passes(6)
        self.promote(batch, 100)
        for lane in LANES:
            self.reserve(lane, 1, ("w2", "b1"), 1, 0)

    @rule(pick=picks, many=st.integers(1, 3))
    def drain_rate_is_measured(self, pick: int, many: int) -> None:
        self.promote(500, 100)
        for _ in range(many):
            self.done(pick, False, "recorded")
        self.time_passes(SLICE)
        self.promote(500, 100)

    @rule(pick=picks, id=ids, any_id=rarely)
    def replay(self, pick: int, id: str, any_id: bool) -> None:
        id = self.dead_letter_id(pick, id, any_id)
        self.run_both(lambda: self.queue.replay(id), lambda model, now: model.replay(now, id))

    @rule(pick=picks, id=ids, any_id=rarely)
    def drop(self, pick: int, id: str, any_id: bool) -> None:
        id = self.dead_letter_id(pick, id, any_id)
        self.run_both(lambda: self.queue.drop(id), lambda model, now: model.drop(now, id))

    def dead_letter_id(self, pick: int, id: str, any_id: bool) -> str:
        if not self.model.dead and not any_id:
            self.bury(pick, False, "no", 1)
        dead = sorted(self.model.dead)
        return dead[pick % len(dead)] if dead and not any_id else id

    @rule(name=st.sampled_from(["lookup", "lookup", "routing", "scheduler"]))
    def process_wakes(self, name: Any) -> None:
        if self.model.wake[name]:
            assert self.queue.wait(name, 1)
            self.model.wake[name] -= 1

    # ---- Redis

    @rule(full=st.booleans())
    def set_maxmemory(self, full: bool) -> None:
        self.model.full = full
        self.store.config_set("maxmemory", int(full))

    @rule(sure=st.sampled_from([False] * 9 + [True]))
    def redis_is_emptied(self, sure: bool) -> None:
        if sure:
            self.store.flushall()
            self.model = Model(full=self.model.full)

    @rule(new_ids=st.lists(ids, max_size=4))
    def counters_are_read(self, new_ids: list[str]) -> None:
        for id in new_ids:
            self.accept(id, "d1", ROOMY_CAPS, (0, 0))
        counters = Inspector(self.connection).counters()
        model = self.model
        waiting: dict[LaneName, dict[str, int]] = {lane: {} for lane in LANES}
        for (lane, source), list_ in model.ready.items():
            waiting[lane][source] = len(list_)
        assert counters == Counters(
            counters.now_ms,
            waiting,
            {lane: len(model.locks[lane]) for lane in LANES},
            len(model.retrying),
            len(model.dead),
            len(model.finished),
            {name: str(value) for name, value in {**model.stats, **model.marks}.items()},
        )
        assert counters.reconciled


def _answer(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (OutOfMemory, RedisUnavailable) as error:
        return str(error) or "OOM"
