"""Routing calls for an event that had been answered already: what excuses each, judged by times.

A repeat is allowed when the answer before it was in the hands of a process that a fault hit before
it could be recorded, and in two cases more that no gateway can rule out: a caller that was frozen
after it had checked its right to call, and a machine that stood still for as long as a lease lasts.
Nothing else is an excuse: not a store that was away, for then the answer is carried along.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadtest.chaos import plan
from loadtest.harness.accounts import Call, Fault

# From the end of a call until its result is recorded when nothing is in the way. Generous: a
# process that shares two cores with everything else may not run for a while.
RECORD_SECONDS = 2.0
OVERLAP_SECONDS = 0.5  # two calls for one event at once; less is a race of looking, not of working

# Of the 5 s that a lease lasts in a run; it is renewed every second. What the machine takes of them
# between two calls may have cost the first caller its lock.
STALL_SECONDS = 2.0

_MORTAL = (plan.KILL_ROUTING, plan.KILL_SUPERVISORD)
_STORES = (
    plan.KILL_REDIS,
    plan.KILL_MONGOD,
    plan.CUT_REDIS,
    plan.CUT_MONGO,
    plan.HOLE_REDIS,
    plan.HOLE_MONGO,
)


@dataclass(frozen=True, slots=True)
class Repeat:
    """again: came although ``first`` was answered, or was still being worked on. excuse: what
    allows it; empty if nothing does."""

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
        if not (fault.at <= until and fault.until >= first.arrived):
            continue
        if fault.kind in _MORTAL and _was(first, fault):
            return f"its worker was hit ({fault.kind}) before the answer was recorded"
        if fault.kind == plan.FREEZE and _was(first, fault):
            return "its worker was frozen before the answer was recorded"
    for fault in faults:
        # It had checked its right to the event before it was frozen, and called when it awoke.
        if (
            fault.kind == plan.FREEZE
            and again.pid in fault.pids
            and first.arrived <= fault.until <= again.arrived + RECORD_SECONDS
            and fault.at <= again.arrived
        ):
            return "the second caller was frozen between its claim and its call"
    return ""


def _stalled(first: Call, again: Call, stalls: Sequence[Fault]) -> str:
    stood = sum(
        max(0.0, min(stall.until, again.arrived) - max(stall.at, first.arrived)) for stall in stalls
    )
    return "the machine stood still for longer than a lease bears" if stood >= STALL_SECONDS else ""


def _recorded_by(call: Call, faults: Sequence[Fault]) -> float:
    """When its result was on record at the latest, had its process lived."""
    by = call.ended + RECORD_SECONDS
    for fault in sorted(faults, key=lambda fault: fault.at):
        if fault.kind in _STORES and fault.at <= by and fault.until >= call.ended:
            by = max(by, fault.until + RECORD_SECONDS)
    return by


def _was(call: Call, fault: Fault) -> bool:
    """Was it the caller that was hit? One that ended before anybody saw who it was may be."""
    return call.pid in fault.pids or call.pid == 0
