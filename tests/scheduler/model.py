"""The queue in plain Python: what each verb does to a few dicts and lists, and nothing else."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from scheduler.keys import LANES, SUSPECTS, Lane
from tests.scheduler.snapshot import Snapshot

MAX_CRASHES = 3


@dataclass
class Event:
    """state as in Redis; serial: the reservation that is the latest, 0 before the first."""

    state: str
    source: str
    lane: Lane = "lookup"
    attempts: int = 0
    waits: int = 0
    crashes: int = 0
    replays: int = 0
    serial: int = 0
    owner: tuple[str, str] = ("", "")
    due: bool = False


@dataclass
class Model:
    """events: id -> event. ready: (lane, source) -> ids, the next one last, as in Redis."""

    events: dict[str, Event] = field(default_factory=dict)
    ready: dict[tuple[Lane, str], deque[str]] = field(default_factory=dict)
    turn: dict[Lane, deque[str]] = field(default_factory=lambda: {x: deque() for x in LANES})
    serial: int = 0

    def push(self, id: str, *, head: bool = False) -> None:
        event = self.events[id]
        event.state = "ready"
        source = SUSPECTS if event.crashes >= 2 else event.source
        waiting = self.ready.setdefault((event.lane, source), deque())
        if head:
            waiting.append(id)
        else:
            waiting.appendleft(id)
        if source not in self.turn[event.lane]:
            self.turn[event.lane].append(source)

    def accept(self, id: str) -> str:
        if id in self.events:
            return "duplicate"
        self.events[id] = Event("ready", id.split(":")[0])
        self.push(id)
        return "accepted"

    def reserve(self, lane: Lane, n: int, owner: tuple[str, str], suspects: int) -> list[str]:
        taken: list[str] = []
        turn, barred = self.turn[lane], suspects == 0
        idle, passed_over = 0, False
        while len(taken) < n and idle < len(turn):
            source = turn.popleft()
            turn.append(source)
            if source == SUSPECTS and not suspects:
                idle, passed_over = idle + 1, barred
                continue
            idle, id = 0, self.ready[lane, source].pop()
            suspects -= source == SUSPECTS
            self.serial += 1
            event = self.events[id]
            event.state, event.serial, event.owner = "locked", self.serial, owner
            event.due = False
            taken.append(id)
            if not self.ready[lane, source]:
                del self.ready[lane, source]
                turn.remove(source)
        if passed_over:
            turn.remove(SUSPECTS)
            turn.appendleft(SUSPECTS)
        return taken

    def holds(self, id: str, lane: Lane, serial: int) -> bool:
        event = self.events.get(id)
        return bool(event and (event.state, event.lane, event.serial) == ("locked", lane, serial))

    def crashed(self, id: str) -> None:
        event = self.events[id]
        event.crashes += 1
        if event.crashes >= MAX_CRASHES:
            event.state = "dead"
        else:
            self.push(id, head=True)

    def promote(self) -> None:
        """Due retries, then expired locks, lane by lane; in the order of their ids, for in these
        tests all that is due is due since the same time."""
        for id in self._due("retry"):
            self.push(id)
        for lane in LANES:
            for id in self._due("locked"):
                if self.events[id].lane == lane:
                    self.crashed(id)

    def _due(self, state: str) -> list[str]:
        return sorted(id for id, event in self.events.items() if event.due and event.state == state)

    def reclaim(self, lane: Lane, owner: str, boot: str, deadlines: list[str]) -> int:
        """deadlines: the locked ids of the lane, in the order of their leases."""
        mine = [id for id in deadlines if self.events[id].owner[0] == owner
                and self.events[id].owner[1] != boot]
        for id in mine:
            self.crashed(id)
        return len(mine)

    def replay(self, id: str) -> str:
        event = self.events.get(id)
        if event is None or event.state != "dead":
            return event.state if event else ""
        event.lane, event.attempts, event.waits, event.crashes = "lookup", 0, 0, 0
        event.replays += 1
        self.push(id)
        return "replayed"

    def view(self) -> Snapshot:
        """What of the store the model speaks about; see ``seen``."""
        places: dict[str, Any] = {}
        for (lane, source), ids in self.ready.items():
            places[f"ready:{lane}:{source}"] = list(ids)
        for lane in LANES:
            if self.turn[lane]:
                places[f"turn:{lane}"] = list(self.turn[lane])
        for id, event in self.events.items():
            if event.state in ("done", "dropped"):
                places[f"event:{id}"] = (event.state,)
            else:
                places[f"event:{id}"] = (event.state, event.lane, event.attempts, event.waits,
                                         event.crashes, event.replays)
        return places


def seen(snapshot: Snapshot) -> Snapshot:
    """The same, of a dump of the real store."""
    places: dict[str, Any] = {}
    for key, content in snapshot.items():
        if key.startswith(("ready:", "turn:")):
            places[key] = content
        elif key.startswith("event:"):
            counts = [int(content.get(name, 0))
                      for name in ("attempts", "waits", "crashes", "replays")]
            lane = content.get("lane")
            places[key] = (content["state"], lane, *counts) if lane else (content["state"],)
    return places
