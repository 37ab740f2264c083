"""A store dies and comes back: when is the next event completed, with nothing of ours restarted?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loadtest.bench.recovery import faults
from loadtest.bench.recovery.constant_load import Couriers
from loadtest.bench.recovery.faults import Back
from loadtest.harness import signed
from loadtest.harness.environment import Environment, Options, started
from loadtest.harness.figures import Figure, Section, Target, at_most, median
from loadtest.harness.progress import say
from loadtest.harness.wait import BenchError, wait_until

ROUNDS, QUICK_ROUNDS = 5, 1
WARM = 40  # events done before the kill
LIMIT_SECONDS = 60


@dataclass(frozen=True)
class Store:
    """back: waits until it answers; with how many events were done until then."""

    name: str
    back: Callable[[Environment], tuple[Back, int]]
    target: Target


def redis(options: Options) -> Section:
    return _measure(options, Store("redis", _redis_back, at_most(2)))


def mongod(options: Options) -> Section:
    return _measure(options, Store("mongod", _mongod_back, at_most(3)))


def _measure(options: Options, store: Store) -> Section:
    away, completed = [], []
    with started(options) as env:
        for number in range(options.pick(ROUNDS, QUICK_ROUNDS)):
            one, other = _round(env, f"{store.name[0]}{number}", store)
            away.append(one)
            completed.append(other)
            say(f"round {number + 1}: away for {one:.2f} s, then {other:.2f} s")
    return Section(
        f"{store.name}-killed",
        f"SIGKILL of {store.name}, which supervisord starts anew",
        f"median of {len(away)} rounds under constant load, one event in five routed; from the "
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
            Figure(f"{store.name} away", median(away), "s", None, tuple(away)),
        ),
    )


def _round(env: Environment, prefix: str, store: Store) -> tuple[float, float]:
    faults.settle(env)
    before, done = faults.everybody(env, store.name), env.stat("done")
    with Couriers(env, prefix, signed.MIXED) as couriers:
        wait_until(lambda: env.stat("done") >= done + WARM, LIMIT_SECONDS, "events to be done")
        sent, _ = faults.kill(faults.pid(env, store.name))
        back, done = store.back(env)
        completed = faults.moment(
            lambda: env.stat("done") > done,
            LIMIT_SECONDS,
            f"an event to be completed after {store.name} was back",
        )
        wait_until(lambda: couriers.taken(back.answered), LIMIT_SECONDS, "a 2xx")
    all_done(env, couriers)
    after = faults.everybody(env, store.name)
    if after != before:
        changed = sorted(set(before.items()) ^ set(after.items()))
        raise BenchError(f"processes other than {store.name} were restarted: {changed}")
    # A worker may have seen it back before this side did.
    return back.answered - sent, max(0.0, completed - back.answered)


def _redis_back(env: Environment) -> tuple[Back, int]:
    """With the events done at its first answer."""
    back = faults.redis_back(env)
    env.redis.close()  # it may be a connection to the Redis that was killed
    return back, env.stat("done")


def _mongod_back(env: Environment) -> tuple[Back, int]:
    """With the events done while it was away."""
    counted: list[int] = []
    back = faults.mongod_back(env, lambda: counted.append(env.stat("done")))
    return back, counted[-1]


def all_done(env: Environment, couriers: Couriers) -> None:
    """Wait for the last. Raises ``BenchError`` unless each event that got its 2xx is done."""
    wait_until(lambda: env.stat("backlog") == 0, LIMIT_SECONDS, "all events to be done")
    taken = [answer.key for answer in couriers.answers if answer.status // 100 == 2]
    done = env.mongo["events"].count_documents({"_id": {"$in": taken}, "state": "done"})
    if done != len(taken):
        raise BenchError(f"{len(taken)} events got a 2xx, {done} of them are done")
