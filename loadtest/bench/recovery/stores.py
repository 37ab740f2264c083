"""A store is killed and returns: when is the next event completed, with nothing else restarted?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loadtest.bench.recovery import faults
from loadtest.bench.recovery.constant_load import ConstantLoad
from loadtest.bench.recovery.faults import Return
from loadtest.harness import signed
from loadtest.harness.environment import Environment, Options, started
from loadtest.harness.figures import Figure, Section, Target, at_most, median
from loadtest.harness.history import History
from loadtest.harness.progress import say
from loadtest.harness.wait import RunFailed, wait_until

ROUNDS, QUICK_ROUNDS = 5, 1
WARM = 40  # events done before the kill
LIMIT_SECONDS = 60


@dataclass(frozen=True)
class Store:
    """returned: waits until it answers; with how many events were done until then."""

    name: str
    returned: Callable[[Environment], tuple[Return, int]]
    target: Target


def redis(options: Options) -> Section:
    return _measure(options, Store("redis", _redis_returned, at_most(2)))


def mongod(options: Options) -> Section:
    return _measure(options, Store("mongod", _mongod_returned, at_most(3)))


def _measure(options: Options, store: Store) -> Section:
    outages, completed = [], []
    with started(options) as env:
        for number in range(options.pick(ROUNDS, QUICK_ROUNDS)):
            one, other = _round(env, f"{store.name[0]}{number}", store)
            outages.append(one)
            completed.append(other)
            say(f"round {number + 1}: unavailable for {one:.2f} s, then {other:.2f} s")
    return Section(
        f"{store.name}-killed",
        f"SIGKILL of {store.name}, which supervisord starts again",
        f"median of {len(outages)} rounds under constant load, one event in five routed; from the "
        "first answer to a new connection until the queue counts one event more as done; no other "
        "process was restarted, and each event that got its 2xx was done at the end",
        (
            Figure(
                "answers again, to first event completed",
                median(completed),
                "s",
                store.target,
                tuple(completed),
            ),
            Figure(f"{store.name} unavailable", median(outages), "s", None, tuple(outages)),
        ),
    )


def _round(env: Environment, prefix: str, store: Store) -> tuple[float, float]:
    faults.settle(env)
    before, done = faults.all_processes(env, store.name), env.stat("done")
    with ConstantLoad(env, prefix, signed.MIXED) as load:
        wait_until(lambda: env.stat("done") >= done + WARM, LIMIT_SECONDS, "events to be done")
        sent, _ = faults.kill(faults.pid(env, store.name))
        back, done = store.returned(env)
        completed = wait_until(
            lambda: env.stat("done") > done,
            LIMIT_SECONDS,
            f"an event to be completed after {store.name} returned",
            poll_seconds=faults.POLL_SECONDS,
        )
        wait_until(lambda: load.acknowledged_since(back.answered), LIMIT_SECONDS, "a 2xx")
    all_done(env, load.history)
    after = faults.all_processes(env, store.name)
    if after != before:
        changed = sorted(set(before.items()) ^ set(after.items()))
        raise RunFailed(f"processes other than {store.name} were restarted: {changed}")
    # A worker may have noticed its return before this process did.
    return back.answered - sent, max(0.0, completed - back.answered)


def _redis_returned(env: Environment) -> tuple[Return, int]:
    """Wait until Redis answers. Also returns how many events were done at its first answer."""
    back = faults.redis_returned(env)
    env.redis.close()  # its connection may be to the Redis that was killed
    return back, env.stat("done")


def _mongod_returned(env: Environment) -> tuple[Return, int]:
    """Wait until mongod answers. Also returns how many events were done while it was
    unavailable."""
    counted: list[int] = []
    back = faults.mongod_returned(env, lambda: counted.append(env.stat("done")))
    return back, counted[-1]


def all_done(env: Environment, history: History) -> None:
    """Wait for the last one. Raises ``RunFailed`` unless every acknowledged event is done."""
    wait_until(lambda: env.stat("backlog") == 0, LIMIT_SECONDS, "all events to be done")
    acknowledged = list(history.acknowledged)
    done = env.mongo["events"].count_documents({"_id": {"$in": acknowledged}, "state": "done"})
    if done != len(acknowledged):
        raise RunFailed(f"{len(acknowledged)} events got a 2xx, {done} of them are done")
