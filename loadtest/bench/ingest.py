"""Requests a second at 100 connections, compared with server processes that do no work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from loadtest.bench import baseline, wrk
from loadtest.bench.wrk import Run
from loadtest.harness import signed
from loadtest.harness.environment import Environment, Options, started
from loadtest.harness.figures import Figure, Section, Target, at_least, median
from loadtest.harness.progress import say
from loadtest.harness.signed import RequestFile
from loadtest.harness.wait import RunFailed, ToolMissing

BASELINES = {"as published": True, "as built here": False}
# Policy -> the least share of the first. `always` waits for the disk before it answers.
TARGETS = {"always": at_least(0.18), "everysec": at_least(0.20)}
CALIBRATION_SECONDS = 1.5
CALIBRATION_COUNT = 40_000
# A run that is faster than the calibration should have requests until its time is over. (Without
# them it ends early, with the right rate.)
MARGIN = 2
ROUNDS = 3
RATE_MIN = 15_000


def measure(options: Options) -> Section:
    wrk.find()
    seconds = options.pick(4, 2) - wrk.SETTLE_SECONDS
    with started(options) as env, _baselines() as baseline_urls:
        env.stop_workers()
        requests = _calibrated(env, seconds)
        bare: dict[str, list[float]] = {name: [] for name in baseline_urls}
        runs: dict[str, list[Run]] = {policy: [] for policy in TARGETS}
        for number in range(1, ROUNDS + 1):
            for name, baseline_url in baseline_urls.items():
                bare[name].append(wrk.run(baseline_url, requests, seconds, cycle=True).rate)
            for policy, found in runs.items():
                found.append(_run(env, requests, seconds, policy))
            rates = ", ".join(f"{policy} {found[-1].rate:,.0f}" for policy, found in runs.items())
            idle = ", ".join(f"{name} {idle[-1]:,.0f}" for name, idle in bare.items()) or "none"
            say(f"round {number} of {ROUNDS}: baseline {idle}; {rates} requests/s")
    figures = [
        Figure(f"baseline: meinheld {name}", median(idle), "req/s", None, tuple(idle))
        for name, idle in bare.items()
    ]
    for policy, target in TARGETS.items():
        figures += _figures(policy, target, runs[policy], bare)
    answers = sum(run.answers for found in runs.values() for run in found)
    return Section(
        "ingest",
        f"signed events at {wrk.CONNECTIONS} connections",
        _how(seconds),
        tuple(figures),
        (
            f"all {answers:,} answers were 2xx, and Redis counted exactly as many accepted events "
            "and no duplicate in each run",
        ),
    )


@contextlib.contextmanager
def _baselines() -> Iterator[dict[str, str]]:
    """The URLs of the baselines; empty where there is no meinheld."""
    with contextlib.ExitStack() as stack:
        try:
            yield {
                name: stack.enter_context(baseline.serving(published=published))
                for name, published in BASELINES.items()
            }
        except ToolMissing as missing:
            say(str(missing))
            yield {}


def _calibrated(env: Environment, seconds: float) -> RequestFile:
    """A file with enough requests for a run. Calibrating warms the processes."""
    say("calibrating")
    first = signed.write(env.folder / "first.requests", "c", CALIBRATION_COUNT)
    rate = _run(env, first, CALIBRATION_SECONDS, "everysec").rate
    count = int(max(rate * MARGIN, RATE_MIN) * seconds)
    say(f"signing {count:,} requests")
    return signed.write(env.folder / "all.requests", "i", count)


def _run(env: Environment, requests: RequestFile, seconds: float, policy: str) -> Run:
    """One run on an empty queue. Raises ``RunFailed`` unless Redis has what was answered."""
    env.fsync(policy)
    env.empty()
    run = wrk.run(env.url, requests, seconds)
    accepted, duplicates = env.stat("accepted"), env.stat("duplicates")
    if accepted != run.answers or duplicates:
        raise RunFailed(
            f"{run.answers} answers, but {accepted} events accepted and {duplicates} duplicates"
        )
    return run


def _figures(
    policy: str, target: Target, runs: list[Run], bare: dict[str, list[float]]
) -> list[Figure]:
    rates = tuple(run.rate for run in runs)
    figures = [Figure(f"{policy}: events", median(rates), "req/s", None, rates)]
    for name, idle_rates in bare.items():
        # Each run is compared with the baseline run of its round: a machine's speed drifts.
        ratios = tuple(rate / idle for rate, idle in zip(rates, idle_rates, strict=True))
        figures.append(
            Figure(
                f"{policy}: share of the baseline {name}",
                median(ratios),
                "ratio",
                target if BASELINES[name] else None,
                ratios,
            )
        )
    return [
        *figures,
        Figure(f"{policy}: p50 at full load", median([run.p50_ms for run in runs]), "ms"),
        Figure(f"{policy}: p99 at full load", median([run.p99_ms for run in runs]), "ms"),
    ]


def _how(seconds: float) -> str:
    return (
        f"wrk, {wrk.THREADS} threads, closed loop, {seconds:g} s a run, median of {ROUNDS} "
        "rounds that each run the baselines and both fsync policies; workers stopped, queue "
        f"emptied; baseline: gunicorn, meinheld x {baseline.PROCESSES}, answers `ok` to the "
        "same requests; as published: with greenlets; as built here: without, like the edge"
    )
