"""What one event costs: CPU by process, round trips to Redis, operations in MongoDB."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from conf.sources.statuses import Status
from loadtest.bench.counters import Usage, usage
from loadtest.bench.paced import Loop
from loadtest.harness import signed
from loadtest.harness.environment import Environment, Options, started
from loadtest.harness.figures import Figure, Section
from loadtest.harness.processes import KINDS, OURS
from loadtest.harness.progress import say
from loadtest.harness.wait import RunFailed

IDLE_SECONDS = 4
# So many slots that no event waits for one.
SETTINGS = {"ROUTING_PROCESSES": "4", "ROUTING_THREADS": "64"}


@dataclass(frozen=True)
class Kind:
    """Events of one kind. rate: a second, low enough for the workers to keep up with."""

    name: str
    statuses: Sequence[Status]
    outcome: str
    rate: int


STATUS_ONLY = Kind("status only", signed.NO_ROUTE, "recorded", 200)
ROUTED = Kind("routed", signed.ROUTE, "routed", 60)


def measure(options: Options) -> Section:
    seconds = options.pick(10, 4)
    figures: list[Figure] = []
    notes: list[str] = []
    with started(options, SETTINGS) as env:
        _send(env, Kind("warm", signed.MIXED, "", 50), 2)
        time.sleep(1)
        before = usage(env)
        time.sleep(IDLE_SECONDS)
        idle = usage(env).since(before)
        for kind in (STATUS_ONLY, ROUTED):
            say(f"{kind.rate * seconds:,} events, {kind.name}, at {kind.rate}/s")
            used = _use(env, kind, seconds).beyond(idle)
            figures += _figures(kind, used, kind.rate * seconds)
            operations = ", ".join(
                f"{name} {calls / kind.rate / seconds:.2f}"
                for name, calls in used.mongo.items()
                if calls > kind.rate
            )
            notes.append(f"{kind.name}: in MongoDB {operations}")
    at_rest = 100 * sum(idle.cpu[kind] for kind in OURS) / idle.at
    figures.append(Figure("the whole stack at rest, our processes", at_rest, "% of a core"))
    return Section(
        "cost",
        "one event, from the signed request to `done`",
        f"sent to the edge at a constant rate for {seconds} s, until the last is done; user and "
        "system time of all processes of a kind; what the stack uses at rest is taken off; "
        "the simulator and the generator are not counted",
        tuple(figures),
        tuple(notes),
    )


def _send(env: Environment, kind: Kind, seconds: int) -> None:
    """Send, and wait until all of it is done."""
    count, before = kind.rate * seconds, env.stat("done")
    prefix = kind.name.replace(" ", "_")
    path = env.folder / f"{prefix}.requests"
    Loop(env.url, signed.write(path, prefix, count, kind.statuses), kind.rate).result()
    env.wait_done(before + count, 30)


def _use(env: Environment, kind: Kind, seconds: int) -> Usage:
    outcomes, before = env.stat(f"done:{kind.outcome}"), usage(env)
    _send(env, kind, seconds)
    used = usage(env).since(before)
    ended = env.stat(f"done:{kind.outcome}") - outcomes
    if ended != kind.rate * seconds:
        raise RunFailed(f"{ended} of {kind.rate * seconds} events ended as {kind.outcome}")
    return used


def _figures(kind: Kind, used: Usage, count: int) -> list[Figure]:
    def each(name: str, total: float, unit: str) -> Figure:
        return Figure(f"{kind.name}: {name}", total / count, unit)

    ours = sum(used.cpu[name] for name in OURS)
    return [
        each("CPU, our processes", 1000 * ours, "ms"),
        *(
            each(f"CPU, {name}", 1000 * used.cpu[name], "ms")
            for name in KINDS
            if used.cpu[name] / count > 5e-6
        ),
        each("round trips to Redis", sum(used.redis.values()), "calls"),
        each("operations in MongoDB", sum(used.mongo.values()), "calls"),
    ]
