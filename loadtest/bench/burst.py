"""A burst: 10,000 events from 500 connections at once, as when a carrier comes back."""

from __future__ import annotations

from loadtest.bench import signed, wrk
from loadtest.bench.errors import BenchError
from loadtest.bench.figures import Figure, Section, at_most, median
from loadtest.bench.progress import say
from loadtest.bench.rig import Options, started

EVENTS = 10_000
CONNECTIONS = 500
PATIENCE_SECONDS = 10.0


def measure(options: Options) -> Section:
    wrk.find()
    rounds = options.pick(5, 3)
    runs = []
    with started(options) as rig:
        rig.stop_workers()
        warm = signed.write(rig.folder / "warm.requests", "w", EVENTS)
        wrk.run(rig.url, warm, PATIENCE_SECONDS)
        for number in range(rounds):
            rig.empty()
            requests = signed.write(rig.folder / "burst.requests", f"b{number}", EVENTS)
            run = wrk.run(rig.url, requests, PATIENCE_SECONDS, connections=CONNECTIONS)
            if run.answers != EVENTS or rig.stat("accepted") != EVENTS:
                raise BenchError(
                    f"{EVENTS} events sent, {run.answers} answers, {rig.stat('accepted')} accepted"
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
