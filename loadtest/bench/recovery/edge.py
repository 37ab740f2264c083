"""What couriers are told while Redis is away, killed or stalled, and how soon one is served again.

Held to each single answer: a median would hide the one that hung.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from loadtest.bench.recovery import faults
from loadtest.bench.recovery.constant_load import COURIERS, Couriers
from loadtest.bench.recovery.faults import Back
from loadtest.bench.recovery.stores import all_done
from loadtest.harness import signed
from loadtest.harness.environment import Environment, Options, started
from loadtest.harness.figures import Figure, Section, at_most, median
from loadtest.harness.history import Answer
from loadtest.harness.progress import say
from loadtest.harness.wait import wait_until

ROUNDS, QUICK_ROUNDS = 5, 1
AWAY_SECONDS = 3.0  # long enough for every process of the edge to probe Redis a dozen times
LIMIT_SECONDS = 60


@dataclass(frozen=True)
class Outage:
    """What one was like. first, slowest: ms, of the answers to what was sent while Redis was away.
    wrong: those that were no 503. again: seconds from its return to the first 2xx."""

    answers: int
    first: float
    slowest: float
    wrong: int
    again: float


def judge(answers: list[Answer], gone: float, back: Back, fault: float) -> Outage:
    """fault: when it began. gone: since when Redis was away for certain. Pure.

    A request counts as sent into the outage from ``fault`` on; to be told 2xx it may have been
    served between ``fault`` and ``gone``, or after ``back.last_away``.
    """
    during = [a for a in answers if a.at + a.ms / 1000 >= fault and a.at < back.last_away]
    wrong = [
        a
        for a in during
        if a.status != 503
        and not (a.status // 100 == 2 and (a.at < gone or a.at + a.ms / 1000 > back.last_away))
    ]
    refused = [a for a in during if a.status == 503]
    first = min(refused, key=lambda a: a.at)
    again = min(
        a.at + a.ms / 1000
        for a in answers
        if a.status // 100 == 2 and a.at + a.ms / 1000 > back.last_away and a.at > gone
    )
    return Outage(
        len(during), first.ms, max(a.ms for a in during), len(wrong), again - back.answered
    )


def measure(options: Options) -> Section:
    killed, stalled = [], []
    with started(options) as env:
        for number in range(options.pick(ROUNDS, QUICK_ROUNDS)):
            killed.append(_killed(env, f"ek{number}"))
            stalled.append(_stalled(env, f"es{number}"))
            say(f"round {number + 1}: killed {killed[-1]}, stalled {stalled[-1]}")
    rounds = len(killed)
    return Section(
        "edge-outage",
        "what the edge answers while Redis is away",
        f"{rounds} rounds each; {COURIERS} couriers post all the time; killed: SIGKILL, started "
        f"anew after {AWAY_SECONDS:g} s (supervisord is stopped meanwhile); stalled: SIGSTOP for "
        f"{AWAY_SECONDS:g} s; the slowest and the wrong ones are over all rounds, the others "
        "medians; each event that got its 2xx was done at the end",
        (*_figures("killed", killed), *_figures("stalled", stalled)),
        (f"{sum(o.answers for o in killed + stalled):,} requests were sent while Redis was away",),
    )


def _figures(kind: str, found: list[Outage]) -> tuple[Figure, ...]:
    first, slowest = [o.first for o in found], [o.slowest for o in found]
    wrong, again = [float(o.wrong) for o in found], [o.again for o in found]
    return (
        Figure(f"{kind}: first answer", median(first), "ms", at_most(1000), tuple(first)),
        Figure(f"{kind}: slowest answer", max(slowest), "ms", at_most(1000), tuple(slowest)),
        Figure(f"{kind}: answers other than 503", sum(wrong), "answers", at_most(0), tuple(wrong)),
        Figure(
            f"{kind}: answers again, to first 2xx", median(again), "s", at_most(1), tuple(again)
        ),
    )


def _killed(env: Environment, prefix: str) -> Outage:
    faults.settle(env)
    supervisor = env.stack.supervisor.pid()
    assert supervisor is not None
    with Couriers(env, prefix, signed.NO_ROUTE) as couriers:
        _under_way(couriers)
        victim = faults.pid(env, "redis")
        with faults.frozen(supervisor):
            sent, gone = faults.kill(victim)
            time.sleep(AWAY_SECONDS)
        back = faults.redis_back(env)
        wait_until(lambda: couriers.taken(back.answered), LIMIT_SECONDS, "a 2xx")
    env.redis.close()
    all_done(env, couriers)
    return judge(couriers.answers, gone, back, sent)


def _stalled(env: Environment, prefix: str) -> Outage:
    faults.settle(env)
    with Couriers(env, prefix, signed.NO_ROUTE) as couriers:
        _under_way(couriers)
        sent = time.time()
        with faults.frozen(faults.pid(env, "redis")):
            gone = time.time()
            time.sleep(AWAY_SECONDS)
            last_away = time.time()
        back = Back(last_away, time.time())
        wait_until(lambda: couriers.taken(back.answered), LIMIT_SECONDS, "a 2xx")
    all_done(env, couriers)
    return judge(couriers.answers, gone, back, sent)


def _under_way(couriers: Couriers) -> None:
    wait_until(lambda: len(couriers.answers) > 10 * COURIERS, LIMIT_SECONDS, "the first answers")
