"""A burst: 10,000 events from 500 connections at once, as after a carrier's outage."""

from __future__ import annotations

from loadtest.bench import wrk
from loadtest.harness import signed
from loadtest.harness.environment import Options, started
from loadtest.harness.figures import Figure, Section, at_most, median
from loadtest.harness.progress import say
from loadtest.harness.wait import RunFailed

EVENTS = 10_000
CONNECTIONS = 500
LIMIT_SECONDS = 10.0


def measure(options: Options) -> Section:
    wrk.find()
    rounds = options.pick(5, 3)
    runs = []
    with started(options) as env:
        env.stop_workers()
        warm = signed.write(env.folder / "warm.requests", "w", EVENTS)
        wrk.run(env.url, warm, LIMIT_SECONDS)
        for number in range(rounds):
            env.empty()
            requests = signed.write(env.folder / "burst.requests", f"b{number}", EVENTS)
            run = wrk.run(env.url, requests, LIMIT_SECONDS, connections=CONNECTIONS)
            if run.answers != EVENTS or env.stat("accepted") != EVENTS:
                raise RunFailed(
                    f"{EVENTS} events sent, {run.answers} answers, {env.stat('accepted')} accepted"
                )
            say(f"burst {number + 1} of {rounds}: {run.rate:,.0f}/s, slowest {run.max_ms:.0f} ms")
            runs.append(run)
    slowest = tuple(run.max_ms for run in runs)
    return Section(
        "burst",
        f"{EVENTS:,} events from {CONNECTIONS} connections",
        "wrk, 2 threads, each connection sends its next event when the last one is answered; from "
        f"the send to the whole answer, median of {rounds} bursts; workers stopped; appendfsync as "
        "the stack ships",
        (
            Figure("slowest answer", median(slowest), "ms", at_most(150), slowest),
            Figure("p99", median([run.p99_ms for run in runs]), "ms"),
            Figure("p50", median([run.p50_ms for run in runs]), "ms"),
            Figure("events", median([run.rate for run in runs]), "req/s"),
        ),
        (f"all {EVENTS * rounds:,} answers were 2xx",),
    )
