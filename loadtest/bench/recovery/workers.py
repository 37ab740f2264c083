"""A routing worker is killed with all its slots in a call: when is each of its calls made again?

Measured at the Routing Service, which counts calls and knows nothing of leases or processes.
"""

from __future__ import annotations

import contextlib

from conf.settings import Settings
from loadtest.bench.recovery import faults
from loadtest.harness import signed
from loadtest.harness.environment import Environment, Options, started
from loadtest.harness.figures import Figure, Section, at_most, median
from loadtest.harness.progress import say
from loadtest.harness.wait import RunFailed, wait_until

TARGET = "worker-routing_00"
ROUNDS, QUICK_ROUNDS = 5, 1
LIMIT_SECONDS = 60
FILL_SECONDS = 8  # a call lasts so long at the kill: time to fill all slots on a slow machine
SHIPPED = Settings()


def restarted(options: Options) -> Section:
    """A routing worker is killed, and supervisord starts it again."""
    samples = _rounds(options, "k", supervised=True)
    return Section(
        "worker-killed",
        f"SIGKILL of a routing worker with {SHIPPED.routing_threads} calls in flight",
        f"{_how(len(samples))}; supervisord starts it again, and it reclaims the leases "
        "under its name",
        (Figure("kill to all in work again", median(samples), "s", at_most(3), tuple(samples)),),
    )


def lost(options: Options) -> Section:
    """A routing worker is killed and not started again: the other one of its lane takes over."""
    samples = _rounds(options, "g", supervised=False)
    lease = SHIPPED.lease_seconds
    return Section(
        "worker-lost",
        f"a routing worker with {SHIPPED.routing_threads} calls in flight that never comes back",
        f"{_how(len(samples))}; supervisord is stopped (SIGSTOP) until then, so "
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
    env.simulator.reset_stats()
    done, crashed = env.stat("done"), env.stat("crashed")
    env.simulator.behave(latency_ms=FILL_SECONDS * 1000)
    env.preload(prefix, count, signed.ROUTE)
    wait_until(lambda: env.simulator.stats()["in_flight"] == count, 20, f"{count} calls in flight")
    env.simulator.behave()
    target, supervisor = faults.pid(env, TARGET), env.stack.supervisor.pid()
    assert supervisor is not None
    supervisor_state = contextlib.nullcontext() if supervised else faults.frozen(supervisor)
    with supervisor_state:
        sent, _ = faults.kill(target)
        called = wait_until(
            lambda: env.simulator.stats()["calls"] >= count + slots,
            LIMIT_SECONDS,
            "all to be in work again",
            poll_seconds=faults.POLL_SECONDS,
        )
    env.wait_done(done + count, LIMIT_SECONDS)
    stats = env.simulator.stats()
    if (env.stat("crashed") - crashed, stats["abandoned"], stats["repeats"]) != (
        slots,
        slots,
        0,
    ):
        raise RunFailed(
            f"{env.stat('crashed') - crashed} events were reclaimed, the simulator counts {stats}"
        )
    return called - sent
