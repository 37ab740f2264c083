"""Repeated routing calls: those for an event that another call had answered or still held.

The times decide what excuses each. A repeat is excused when a fault hit the process with the first
answer before it could record it, and in two cases that no gateway can rule out: a caller that was
frozen after it had checked its right to call, and a machine that stalled for as long as a lease
lasts. A store outage excuses nothing: the answer is carried along until it can be recorded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadtest.harness import fault_kinds
from loadtest.harness.accounts import Call, Fault

# From the end of a call until its result is recorded when no store is down. Generous: a process
# that shares two cores with everything else may not run for a while.
RECORD_SECONDS = 2.0
OVERLAP_SECONDS = 0.5  # two calls for one event at once; a shorter overlap is one of observation

# A lease of a chaos run lasts 5 s and is extended every second. Stalls of this length between two
# calls may have cost the first caller its lock.
STALL_SECONDS = 2.0

_KILLS = (fault_kinds.KILL_ROUTING, fault_kinds.KILL_SUPERVISORD)


@dataclass(frozen=True, slots=True)
class Repeat:
    """again: arrived although ``first`` was answered or still held. excuse: empty if nothing
    excuses it."""

    first: Call
    again: Call
    excuse: str

    @property
    def key(self) -> str:
        return self.again.key


def repeats(
    calls: Iterable[Call], faults: Sequence[Fault], stalls: Sequence[Fault] = ()
) -> list[Repeat]:
    """Every repeat of the run."""
    by_key: dict[str, list[Call]] = defaultdict(list)
    for call in sorted(calls, key=lambda call: call.arrived):
        by_key[call.key].append(call)
    found = []
    for sequence in by_key.values():
        for number, again in enumerate(sequence):
            earlier = [call for call in sequence[:number] if _answered_or_held(call, again)]
            if earlier:
                first = earlier[-1]
                excuse = _excuse(first, again, faults) or _stalled(first, again, stalls)
                found.append(Repeat(first, again, excuse))
    return found


def _answered_or_held(earlier: Call, again: Call) -> bool:
    return earlier.outcome == "routed" or earlier.ended > again.arrived + OVERLAP_SECONDS


def _excuse(first: Call, again: Call, faults: Sequence[Fault]) -> str:
    until = min(again.arrived, _recorded_by(first, faults))
    for fault in faults:
        if not (fault.at <= until and fault.until >= first.arrived and first.pid in fault.pids):
            continue
        if fault.kind in _KILLS:
            return f"its worker was hit ({fault.kind}) before the answer was recorded"
        if fault.kind == fault_kinds.FREEZE:
            return "its worker was frozen before the answer was recorded"
    for fault in faults:
        # It had checked its right to the event before it was frozen, and called when it went on.
        if (
            fault.kind == fault_kinds.FREEZE
            and again.pid in fault.pids
            and first.arrived <= fault.until <= again.arrived + RECORD_SECONDS
            and fault.at <= again.arrived
        ):
            return "the second caller was frozen between its claim and its call"
    return ""


def _stalled(first: Call, again: Call, stalls: Sequence[Fault]) -> str:
    stalled = sum(
        max(0.0, min(stall.until, again.arrived) - max(stall.at, first.arrived)) for stall in stalls
    )
    return "the machine stalled for as long as a lease lasts" if stalled >= STALL_SECONDS else ""


def _recorded_by(call: Call, faults: Sequence[Fault]) -> float:
    """When its process, if nothing hit it, had recorded the result at the latest."""
    by = call.ended + RECORD_SECONDS
    for fault in sorted(faults, key=lambda fault: fault.at):
        if fault.kind in fault_kinds.STORE_OUTAGES and fault.at <= by and fault.until >= call.ended:
            by = max(by, fault.until + RECORD_SECONDS)
    return by
