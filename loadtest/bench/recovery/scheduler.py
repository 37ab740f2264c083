"""The scheduler is killed just before retries are due: how late do they become ready?"""

from __future__ import annotations

import time

from loadtest.bench.recovery import faults
from loadtest.harness import signed
from loadtest.harness.environment import Environment, Options, started
from loadtest.harness.figures import Figure, Section, at_most, median
from loadtest.harness.progress import say
from loadtest.harness.wait import RunFailed, wait_until
from scheduler.inspector import Inspector

RETRIES = 200
ROUNDS, QUICK_ROUNDS = 5, 1
DUE_SECONDS = 1.5  # from the first retry to when all are due
AHEAD_SECONDS = 0.05  # of the kill: the killed scheduler must not have seen them due
LIMIT_SECONDS = 30
LEASE_SECONDS = 60


def killed(options: Options) -> Section:
    samples = []
    with started(options) as env:
        env.stack.ctl("stop", "worker-lookup:*")  # so that what becomes ready stays there
        for number in range(options.pick(ROUNDS, QUICK_ROUNDS)):
            samples.append(_round(env, f"s{number}"))
            say(f"round {number + 1}: {samples[-1]:.2f} s")
            env.empty()
    return Section(
        "scheduler-killed",
        f"SIGKILL of the scheduler when {RETRIES} retries are about to be due",
        f"median of {len(samples)} rounds; from the signal, {AHEAD_SECONDS * 1000:g} ms before the "
        "retries are due, until all of them are ready",
        (Figure("kill to all ready", median(samples), "s", at_most(2), tuple(samples)),),
    )


def _round(env: Environment, prefix: str) -> float:
    faults.settle(env, stopped=("worker-lookup_00",))
    env.preload(prefix, RETRIES, signed.NO_ROUTE)
    due = time.time() + DUE_SECONDS
    events = env.queue.reserve(
        "lookup", RETRIES, owner="bench/recovery", boot="1", lease_seconds=LEASE_SECONDS
    )
    for event in events:
        env.queue.retry(event, due - time.time(), "bench")
    pid = faults.pid(env, "scheduler")
    time.sleep(max(0.0, due - AHEAD_SECONDS - time.time()))
    sent, _ = faults.kill(pid)
    inspector = Inspector(env.redis)
    before = inspector.counters()
    if before.retrying != RETRIES:
        raise RunFailed(f"{before.retrying} retries wait after the kill, not {RETRIES}")
    ready = wait_until(
        lambda: env.redis.command("ZCARD", inspector.keys.retry) == 0,
        LIMIT_SECONDS,
        "the retries to be ready",
        poll_seconds=faults.POLL_SECONDS,
    )
    if inspector.counters().waiting_total != RETRIES:
        raise RunFailed("not all retries became ready")
    return ready - sent
