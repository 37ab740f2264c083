"""A model of the queue: what each verb does, in plain Python on a few dicts and lists.

``now`` is Redis's time in ms when the verb ran. What the verbs return, and ``view``, equal what the
real queue returns and stores, in every field.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from scheduler.accept_command import Caps
from scheduler.constants import EXCLUSIVE_WAIT_MS, QUARANTINE, QUARANTINE_CRASHES, WAKE_MAX
from scheduler.events import Acceptance, AcceptCode, Promotion, Reserved
from scheduler.keys import FIELDS, LANES, LaneName
from tests.support.store_snapshot import Snapshot

# An event is quarantined at 2 and 3 crashes; at 3 it is exclusive.
MAX_CRASHES = 4
FINISHED = ("done", "dropped")


class OutOfMemory(Exception):
    """Redis is at maxmemory and refuses this write."""


@dataclass
class Event:
    """The fields of the hash, None for a missing one. lacks: a field that manual corruption has
    deleted."""

    state: str
    lane: LaneName
    source: str
    received_at: int
    live_since: int
    digest: str
    body: bytes | None
    attempts: int = 0
    crashes: int = 0
    waits: int | None = None
    gen: int | None = None
    owner: str | None = None
    boot: str | None = None
    next_at: int | None = None
    last_error: str | None = None
    reason: str | None = None
    route: str | None = None
    replays: int | None = None
    lacks: str = ""

    @property
    def size(self) -> int:
        return len(self.body or b"")

    def fields(self) -> dict[str, str]:
        names = FIELDS if self.state not in FINISHED else ("state", "digest", "reason")
        values = {name: getattr(self, name) for name in names if name != self.lacks}
        return {name: str(value) for name, value in values.items() if value is not None}


@dataclass
class Model:
    """ready: (lane, source) -> ids, pushed left, taken right. wake: tokens by list. marks: the
    fields of stats that are no counters. full: Redis is at maxmemory."""

    events: dict[str, Event] = field(default_factory=dict)
    ready: dict[tuple[LaneName, str], deque[str]] = field(default_factory=dict)
    turn: dict[LaneName, deque[str]] = field(default_factory=lambda: {x: deque() for x in LANES})
    locks: dict[LaneName, dict[str, int]] = field(default_factory=lambda: {x: {} for x in LANES})
    exclusive: dict[LaneName, tuple[str, int]] = field(default_factory=dict)
    retrying: dict[str, int] = field(default_factory=dict)
    dead: dict[str, int] = field(default_factory=dict)
    finished: dict[str, int] = field(default_factory=dict)
    quota: dict[str, tuple[float, int]] = field(default_factory=dict)
    wake: Counter[str] = field(default_factory=Counter)
    stats: Counter[str] = field(default_factory=Counter)
    marks: dict[str, Any] = field(default_factory=dict)
    full: bool = False

    # ---- what several verbs share

    def push(self, id: str, *, head: bool = False) -> None:
        event = self.events[id]
        event.state = "ready"
        self.push_id(
            id,
            event.lane,
            QUARANTINE if event.crashes >= QUARANTINE_CRASHES else event.source,
            head=head,
        )

    def push_id(self, id: str, lane: LaneName, source: str, *, head: bool = False) -> None:
        waiting = self.ready.setdefault((lane, source), deque())
        if head:
            waiting.append(id)
        else:
            waiting.appendleft(id)
        if source not in self.turn[lane]:
            self.turn[lane].append(source)
        self.wake_one(lane)

    def wake_one(self, sleeper: str, most: int = WAKE_MAX) -> None:
        if self.wake[sleeper] < most:
            self.wake[sleeper] += 1

    def dead_letter(self, now: int, id: str, reason: str) -> None:
        event = self.events[id]
        event.state, event.reason = "dead", reason
        self.dead[id] = now
        self.stats.update(
            {"buried": 1, f"buried:{reason}": 1, "backlog": -1, "backlog_bytes": -event.size}
        )

    def record_crash(self, now: int, id: str) -> None:
        event = self.events[id]
        event.crashes += 1
        self.stats["crashed"] += 1
        if event.crashes >= MAX_CRASHES:
            self.dead_letter(now, id, "poison")
        else:
            self.push(id, head=True)

    # ---- the edge

    def accept(
        self, now: int, id: str, body: bytes, digest: str, caps: Caps, rate: float, burst: float
    ) -> Acceptance:
        source = id.split(":")[0]
        event = self.events.get(id)
        if event is not None:
            code: AcceptCode = "duplicate" if event.digest == digest else "conflicting"
            self._count_secret(now, source)
            self.stats["duplicates"] += 1
            if code == "conflicting":
                self.stats["conflicting"] += 1
            return Acceptance(code, 0, 0)
        backlog, dead_full = self.stats["backlog"], len(self.dead) >= caps.max_dead
        if (
            dead_full
            or backlog >= caps.max_events
            or self.stats["backlog_bytes"] + len(body) > caps.max_bytes
        ):
            self._count_secret(now, source)
            self.stats["refused_full"] += 1
            drain = float(self.marks.get("drain_per_second", 0))
            drains = drain > 0 and not dead_full
            wait = math.ceil(backlog * 50 / drain) / 1000 if drains else 0
            return Acceptance("full", backlog, wait)
        tokens = 0.0
        if rate:
            had, at = self.quota.get(source, (burst, now))
            tokens = min(burst, had + max(0, now - at) * rate / 1000)
            if tokens < 1:
                self._count_secret(now, source)
                self.stats.update({"limited": 1, f"limited:{source}": 1})
                return Acceptance("limited", backlog, math.ceil((1 - tokens) * 1000 / rate) / 1000)
        if self.full:
            raise OutOfMemory
        if rate:
            self.quota[source] = (float(f"{tokens - 1:.3f}"), now)
        self.events[id] = Event("ready", "lookup", source, now, now, digest, body)
        self._count_secret(now, source)
        self.stats.update({"accepted": 1, "backlog": 1, "backlog_bytes": len(body)})
        self.push(id)
        return Acceptance("accepted", backlog + 1, 0)

    def _count_secret(self, now: int, source: str) -> None:
        self.stats[f"secret:{source}:KEY"] += 1
        self.marks[f"seen:{source}:KEY"] = now

    # ---- holders

    def reserve(
        self,
        now: int,
        micros: int,
        lane: LaneName,
        n: int,
        owner: tuple[str, str],
        lease: int,
        quarantined: int,
        held: int,
    ) -> list[Reserved]:
        taken: list[Reserved] = []
        turn, barred = self.turn[lane], quarantined == 0
        idle, passed_over = 0, False
        while len(taken) < n and idle < len(turn):
            source = turn.popleft()
            turn.append(source)
            waiting = self.ready.get((lane, source), deque())
            exclusive = (
                source == QUARANTINE
                and quarantined > 0
                and bool(waiting)
                and self._crashes(waiting[-1]) >= MAX_CRASHES - 1
            )
            if source == QUARANTINE and not quarantined:
                idle, passed_over = idle + 1, barred
                continue
            if exclusive and held + len(taken) > 0:
                idle, passed_over = idle + 1, True
                if self._waits_for_exclusive(now, lane, owner[0]):
                    break
                continue
            event = None
            if waiting:
                idle, id = 0, waiting.pop()
                event = self._take(now, micros, lane, id, owner, lease)
            if event is not None:
                taken.append(event)
                quarantined -= source == QUARANTINE
            if not waiting:
                self.ready.pop((lane, source), None)
                turn.remove(source)
            if event is not None and exclusive:
                self.exclusive.pop(lane, None)
                break
        if passed_over:
            turn.remove(QUARANTINE)
            turn.appendleft(QUARANTINE)
        if taken:
            self.stats["reserved"] += len(taken)
            if turn:
                self.wake_one(lane)
        return taken

    def _crashes(self, id: str) -> int:
        event = self.events.get(id)
        return 0 if event is None or event.state in FINISHED else event.crashes

    def _waits_for_exclusive(self, now: int, lane: LaneName, owner: str) -> bool:
        who, until = self.exclusive.get(lane, (owner, now))
        if who != owner and until > now:
            return False
        self.exclusive[lane] = (owner, now + EXCLUSIVE_WAIT_MS)
        return True

    def _take(
        self, now: int, micros: int, lane: LaneName, id: str, owner: tuple[str, str], lease: int
    ) -> Reserved | None:
        event = self.events.get(id)
        if event is None or event.state != "ready" or event.lacks:
            self.stats["skipped"] += 1
        elif event.lane != lane:
            self.stats["skipped"] += 1
            self.push(id)
        elif event.body is None:
            self.dead_letter(now, id, "body_missing")
        else:
            event.state, event.gen = "locked", max(micros, (event.gen or 0) + 1)
            event.owner, event.boot = owner
            self.locks[lane][id] = now + lease
            return Reserved(
                id=id,
                gen=str(event.gen),
                lane=lane,
                source=event.source,
                attempts=event.attempts,
                waits=event.waits or 0,
                crashes=event.crashes,
                received_at_ms=event.received_at,
                live_since_ms=event.live_since,
                route=(event.route or "").encode(),
                body=event.body,
            )
        return None

    def holds(self, reservation: Reserved, lane: LaneName) -> bool:
        event = self.events.get(reservation.id)
        return (
            reservation.id in self.locks[lane]
            and event is not None
            and str(event.gen) == reservation.gen
        )

    def release(self, reservation: Reserved, lane: LaneName) -> Event | None:
        """Unlock the event and return it; None, and counted, if the caller does not hold it."""
        if not self.holds(reservation, lane):
            self.stats["refused_stale"] += 1
            return None
        del self.locks[lane][reservation.id]
        return self.events[reservation.id]

    def extend(
        self, now: int, lane: LaneName, reservations: list[Reserved], lease: int
    ) -> list[str]:
        lost = [reservation.id for reservation in reservations if not self.holds(reservation, lane)]
        for reservation in reservations:
            if self.holds(reservation, lane):
                self.locks[lane][reservation.id] = now + lease
        return lost

    def forward(self, now: int, reservation: Reserved) -> bool:
        event = self.release(reservation, "lookup")
        if event is not None:
            event.lane, event.attempts, event.crashes = "routing", 0, 0
            event.waits = event.reason = None
            self.stats["forwarded"] += 1
            self.push(reservation.id)
        return event is not None

    def done(self, now: int, reservation: Reserved, outcome: str) -> bool:
        event = self.release(reservation, reservation.lane)
        if event is not None:
            self.stats.update(
                {
                    "done": 1,
                    f"done:{outcome}": 1,
                    "done_ms": max(0, now - event.received_at),
                    "backlog": -1,
                    "backlog_bytes": -event.size,
                }
            )
            event.state, event.reason, event.body = "done", None, None
            self.finished[reservation.id] = now
        return event is not None

    def retry(self, now: int, reservation: Reserved, delay: int, error: str) -> bool:
        event = self.release(reservation, reservation.lane)
        if event is not None:
            event.attempts, event.last_error = event.attempts + 1, error
            event.waits = event.reason = None
            self.stats["retried"] += 1
            self._wait_until(now + delay, reservation.id)
        return event is not None

    def _wait_until(self, at: int, id: str) -> None:
        event = self.events[id]
        event.state, event.next_at, self.retrying[id] = "retry", at, at
        if min(self.retrying, key=lambda id: (self.retrying[id], id)) == id:
            self.wake_one("scheduler", 1)

    def defer(
        self,
        now: int,
        reservation: Reserved,
        delay: int,
        reason: str,
        floor: int | None,
        route: str,
    ) -> bool:
        event = self.release(reservation, reservation.lane)
        if event is None:
            return False
        event.reason = reason
        event.route = route or event.route
        event.gen = max(event.gen or 0, floor or 0)
        self.stats["deferred"] += 1
        if delay:
            event.waits = (event.waits or 0) + 1
            self._wait_until(now + delay, reservation.id)
        else:
            self.push(reservation.id, head=True)
        return True

    def bury(self, now: int, reservation: Reserved, reason: str, error: str, attempts: int) -> bool:
        event = self.release(reservation, reservation.lane)
        if event is not None:
            event.attempts += attempts
            event.last_error = error or event.last_error
            self.dead_letter(now, reservation.id, reason)
        return event is not None

    def reclaim(self, now: int, lane: LaneName, owner: str, boot: str, held: list[str]) -> int:
        found = 0
        for id in in_order(self.locks[lane]):
            event = self.events.get(id)
            if event is None or event.owner != owner or event.state != "locked":
                continue
            if event.boot == boot and id in held:
                continue
            found += 1
            del self.locks[lane][id]
            if event.boot == boot:
                self.push(id, head=True)
            else:
                self.record_crash(now, id)
        return found

    # ---- scheduler and operators

    def promote(
        self, now: int, lease: int, window: int, most: int, guard: int, batch: int
    ) -> Promotion:
        marks = self.marks
        if now - marks.get("promoted_at", now) > lease / 2:
            marks["spare_until"] = now + lease
        marks["promoted_at"] = now
        self._measure_drain_rate(now)
        promoted = 0
        for id in in_order(self.retrying, until=now)[:batch]:
            del self.retrying[id]
            event = self.events.get(id)
            if event is not None and event.state == "retry":
                promoted, event.next_at = promoted + 1, None
                self.push(id)
            else:
                self.stats["skipped"] += 1
        spare_until, expired = marks.get("spare_until", 0), 0
        if now >= spare_until:
            for locks in self.locks.values():
                for id in in_order(locks, until=now)[:batch]:
                    del locks[id]
                    event = self.events.get(id)
                    if event is not None and event.state == "locked":
                        expired += 1
                        self.record_crash(now, id)
                    else:
                        self.stats["skipped"] += 1
        old = in_order(self.finished, until=now - max(window, guard))[:batch]
        beyond = max(0, len(self.finished) - most)
        old = old or in_order(self.finished, until=now - guard)[: min(batch, beyond)]
        for id in old:
            del self.finished[id], self.events[id]
        if old:
            self.stats["trimmed"] += len(old)
        due = [min(self.retrying.values())] if self.retrying else []
        due += [max(spare_until, min(locks.values())) for locks in self.locks.values() if locks]
        due += [now] if len(old) == batch else []
        wait = max(0, min(due) - now) / 1000 if due else None
        return Promotion(wait, promoted, expired, len(old))

    def _measure_drain_rate(self, now: int) -> None:
        since, done = now - self.marks.get("drain_at", 0), self.stats["done"]
        if since >= 1000:
            rate = max(0, done - self.marks.get("drain_done", done)) * 1000 / since
            before = float(self.marks.get("drain_per_second", 0))
            weight = min(1, since / 5000) if before else 1
            rate = rate * weight + before * (1 - weight)
            self.marks |= {"drain_at": now, "drain_done": done, "drain_per_second": f"{rate:.2f}"}

    def replay(self, now: int, id: str) -> str:
        event = self.events.get(id)
        if event is None or event.state != "dead" or id not in self.dead:
            return not_dead(event)
        if event.body is None:
            return "no_body"
        del self.dead[id]
        event.lane, event.attempts, event.waits, event.crashes = "lookup", 0, None, 0
        event.live_since, event.replays = now, (event.replays or 0) + 1
        self.stats.update({"replayed": 1, "backlog": 1, "backlog_bytes": event.size})
        self.push(id)
        return "replayed"

    def drop(self, now: int, id: str) -> str:
        event = self.events.get(id)
        if event is None or event.state != "dead" or id not in self.dead:
            return not_dead(event)
        del self.dead[id]
        event.state, event.body = "dropped", None
        self.finished[id] = now
        self.stats["dropped"] += 1
        return "dropped"

    # ---- time, and the whole store

    def pass_time(self, ms: int) -> None:
        """Move every time so much into the past."""
        for times in (*self.locks.values(), self.retrying, self.dead, self.finished):
            times.update({id: at - ms for id, at in times.items()})
        for event in self.events.values():
            for name in ("received_at", "live_since", "next_at"):
                if getattr(event, name) is not None:
                    setattr(event, name, getattr(event, name) - ms)
        for mark in self.marks:
            if mark in ("promoted_at", "spare_until", "drain_at") or mark.startswith("seen:"):
                self.marks[mark] -= ms
        self.quota = {source: (tokens, at - ms) for source, (tokens, at) in self.quota.items()}
        self.exclusive = {lane: (who, until - ms) for lane, (who, until) in self.exclusive.items()}

    def view(self, now: int) -> Snapshot:
        """What ``dump`` must return for the real store."""
        stats = {**self.stats, **self.marks}
        found: Snapshot = {
            "retry": self.retrying,
            "dead": self.dead,
            "done": self.finished,
            "stats": {name: str(value) for name, value in stats.items()},
        }
        found |= {f"wake:{name}": ["1"] * count for name, count in self.wake.items()}
        found |= {f"ready:{lane}:{source}": list(ids) for (lane, source), ids in self.ready.items()}
        found |= {
            f"quota:{source}": {"tokens": f"{tokens:.3f}", "at": str(at)}
            for source, (tokens, at) in self.quota.items()
        }
        found |= {
            f"alone:{lane}": who.encode()
            for lane, (who, until) in self.exclusive.items()
            if until > now
        }
        for lane in LANES:
            found[f"turn:{lane}"] = list(self.turn[lane])
            found[f"locks:{lane}"] = self.locks[lane]
        for id, event in self.events.items():
            found[f"event:{id}"] = event.fields()
            found[f"body:{id}"] = event.body
        return {key: content for key, content in found.items() if content}


def not_dead(event: Event | None) -> str:
    state = event.state if event else ""
    return "dropped already" if state == "dropped" else state


def in_order(times: dict[str, int], until: float = math.inf) -> list[str]:
    """The ids of a sorted set whose time is at most ``until``, the earliest first."""
    return sorted((id for id, at in times.items() if at <= until), key=lambda id: (times[id], id))
