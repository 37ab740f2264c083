"""A routing worker dies with all its slots in a call: when is each of its calls made again?

Seen by the Routing Service: it counts the calls, and knows nothing of leases or processes.
"""

from __future__ import annotations

import contextlib

import urllib3

from conf.settings import Settings
from loadtest.bench.recovery import faults
from loadtest.demo import behave
from loadtest.harness import signed
from loadtest.harness.environment import Environment, Options, started
from loadtest.harness.figures import Figure, Section, at_most, median
from loadtest.harness.progress import say
from loadtest.harness.wait import BenchError, wait_until

VICTIM = "worker-routing_00"
ROUNDS, QUICK_ROUNDS = 5, 1
LIMIT_SECONDS = 60
FILL_SECONDS = 8  # of the calls in flight at the kill: time to fill all slots on a slow machine
SHIPPED = Settings()


def restarted(options: Options) -> Section:
    """It is killed, and supervisord starts it anew."""
    samples = _rounds(options, "k", supervised=True)
    return Section(
        "worker-killed",
        f"SIGKILL of a routing worker with {SHIPPED.routing_threads} calls in flight",
        f"{_how(len(samples))}; supervisord starts it anew, and it takes back the leases "
        "under its name",
        (Figure("kill to all in work again", median(samples), "s", at_most(3), tuple(samples)),),
    )


def lost(options: Options) -> Section:
    """It is killed, and nobody starts it anew: its lane's other process takes over."""
    samples = _rounds(options, "g", supervised=False)
    lease = SHIPPED.lease_seconds
    return Section(
        "worker-lost",
        f"a routing worker with {SHIPPED.routing_threads} calls in flight that never comes back",
        f"{_how(len(samples))}; supervisord is stopped (SIGSTOP) meanwhile, so "
        f"that the other worker takes over when the leases end (LEASE_SECONDS = {lease:g})",
        (
            Figure(
                "kill to all in work again",
                median(samples),
                "s",
                at_most(lease + 1),
                tuple(samples),
            ),
        ),
    )


def _how(rounds: int) -> str:
    return (
        f"median of {rounds} rounds; {SHIPPED.routing_processes} routing workers with all "
        f"{SHIPPED.routing_threads} slots of each in a call (of {FILL_SECONDS} s, so that the "
        f"last is made before the first ends); from the signal until the simulator has "
        f"counted {SHIPPED.routing_threads} calls more; each event was done once at the end"
    )


def _rounds(options: Options, prefix: str, *, supervised: bool) -> list[float]:
    samples = []
    with started(options) as env:
        for number in range(options.pick(ROUNDS, QUICK_ROUNDS)):
            samples.append(_round(env, f"{prefix}{number}", supervised))
            say(f"round {number + 1}: {samples[-1]:.2f} s")
    return samples


def _round(env: Environment, prefix: str, supervised: bool) -> float:
    slots = SHIPPED.routing_threads
    count = slots * SHIPPED.routing_processes
    faults.settle(env)
    urllib3.request("DELETE", f"{env.stack.routing_url}/stats", retries=False)
    done, crashed = env.stat("done"), env.stat("crashed")
    behave(env.stack, latency_ms=FILL_SECONDS * 1000)
    env.preload(prefix, count, signed.ROUTE)
    wait_until(lambda: env.simulator()["in_flight"] == count, 20, f"{count} calls in flight")
    behave(env.stack)
    victim, supervisor = faults.pid(env, VICTIM), env.stack.supervisor.pid()
    assert supervisor is not None
    absent = contextlib.nullcontext() if supervised else faults.frozen(supervisor)
    with absent:
        sent, _ = faults.kill(victim)
        seen = sent
        seen = faults.moment(
            lambda: env.simulator()["calls"] >= count + slots,
            LIMIT_SECONDS,
            "all to be in work again",
        )
    env.wait_done(done + count, LIMIT_SECONDS)
    books = env.simulator()
    if (env.stat("crashed") - crashed, books["abandoned"], books["repeats"]) != (
        slots,
        slots,
        0,
    ):
        raise BenchError(
            f"{env.stat('crashed') - crashed} events were taken back, the simulator's "
            f"books say {books}"
        )
    return seen - sent
