"""How long a courier waits for its answer at a constant 1,000 events a second."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from loadtest.bench import baseline
from loadtest.bench.paced import Loop, Paced
from loadtest.harness import signed
from loadtest.harness.environment import Environment, Options, started
from loadtest.harness.figures import Figure, Section, Target, at_most, percentile
from loadtest.harness.progress import say
from loadtest.harness.wait import RunFailed, ToolMissing, wait_until

RATE = 1000
Targets = Mapping[float, Target | None]
ALONE: Targets = {0.5: None, 0.99: at_most(2.5), 0.999: None}
DRAINING: Targets = {0.5: at_most(2), 0.99: at_most(10), 0.999: at_most(50)}
UNDER_WAY = 200  # events done before the drain is measured: by then every thread is at work


def measure(options: Options) -> Section:
    seconds, backlog = options.pick(12, 4), options.pick(15_000, 6_000)
    with started(options) as env:
        env.stop_workers()
        _paced(env, "w", 2, env.url)  # warm
        floor = _floor(env)
        say(f"{RATE} events/s for {seconds} s, workers stopped")
        alone = _paced(env, "a", seconds, env.url)
        env.empty()
        say(f"the same while the workers drain {backlog:,} events")
        env.preload("b", backlog, signed.MIXED)
        env.start_workers()
        wait_until(lambda: env.stat("done") > UNDER_WAY, 20, "the workers to drain")
        before = env.stat("done")
        draining = _paced(env, "d", seconds, env.url)
        drained, left = env.stat("done") - before, env.stat("backlog")
        if left <= 0:
            raise RunFailed("the backlog was drained before the measurement ended")
    figures = [
        *_figures("alone", alone, ALONE),
        *_figures("draining", draining, DRAINING),
        Figure("draining: errors", draining.errors + alone.errors, "count", at_most(0)),
        Figure("draining: events done meanwhile", drained / seconds, "per s"),
        *(
            [Figure("generator: p99 against the bare baseline", floor.at(0.99), "ms")]
            if floor
            else []
        ),
        Figure("generator: p99 of its own lag, alone", _lag(alone), "ms"),
        Figure("generator: p99 of its own lag, draining", _lag(draining), "ms"),
        Figure("generator: share of a core", 100 * max(alone.busy, draining.busy), "%"),
    ]
    return Section(
        "latency",
        f"acknowledgement at a constant {RATE:,} events/s",
        _how(seconds, backlog),
        tuple(figures),
        (
            f"{left:,} events were still waiting at the end of the drain",
            "the generator's lag is part of every latency: on a machine of its own it would not be",
        ),
    )


def _paced(env: Environment, prefix: str, seconds: int, url: str) -> Paced:
    path = env.folder / f"{prefix}.requests"
    return Loop(url, signed.write(path, prefix, RATE * seconds, signed.MIXED), RATE).result()


def _floor(env: Environment) -> Paced | None:
    """The generator against a server that does no work: what the generator itself adds."""
    with contextlib.suppress(ToolMissing), baseline.serving() as url:
        return _paced(env, "f", 2, url)
    return None  # no meinheld


def _lag(run: Paced) -> float:
    return percentile(run.lag_ms, 0.99)


def _figures(name: str, run: Paced, targets: Targets) -> list[Figure]:
    return [
        Figure(f"{name}: p{100 * share:g}", run.at(share), "ms", target)
        for share, target in targets.items()
    ]


def _how(seconds: int, backlog: int) -> str:
    return (
        f"open loop, {RATE * seconds:,} requests at equal distances over 64 or more kept "
        "connections, each measured from the moment it was to be sent; appendfsync as the "
        f"stack ships; draining: {backlog:,} events waiting, one in five needs a route of 2 s"
    )
