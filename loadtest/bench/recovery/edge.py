"""How the edge answers while Redis is killed or stalled, and how soon it accepts again.

Every single answer is judged: a median would hide the one that hung.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from loadtest.bench.recovery import faults
from loadtest.bench.recovery.constant_load import COURIERS, ConstantLoad
from loadtest.bench.recovery.faults import Return
from loadtest.bench.recovery.stores import all_done
from loadtest.harness import signed
from loadtest.harness.environment import Environment, Options, started
from loadtest.harness.figures import Figure, Section, at_most, median
from loadtest.harness.history import Answer
from loadtest.harness.progress import say
from loadtest.harness.wait import wait_until

ROUNDS, QUICK_ROUNDS = 5, 1
OUTAGE_SECONDS = 3.0  # long enough for every process of the edge to probe Redis a dozen times
LIMIT_SECONDS = 60


@dataclass(frozen=True)
class Outage:
    """first_ms, slowest_ms: of the answers to what was sent during the outage. wrong: how many of
    them were no 503. recovery_seconds: from Redis's return to the first 2xx."""

    answers: int
    first_ms: float
    slowest_ms: float
    wrong: int
    recovery_seconds: float


def judge(answers: list[Answer], gone: float, back: Return, fault: float) -> Outage:
    """fault: when it began. gone: since when Redis was certainly unavailable. Pure.

    A request counts as sent into the outage from ``fault`` on. A 2xx to it is right if it may have
    been stored between ``fault`` and ``gone``, or after ``back.last_unavailable``.
    """
    during = [a for a in answers if a.answered_at >= fault and a.sent_at < back.last_unavailable]
    wrong = [
        a
        for a in during
        if a.status != 503
        and not (a.acknowledged and (a.sent_at < gone or a.answered_at > back.last_unavailable))
    ]
    first = min((a for a in during if a.status == 503), key=lambda a: a.sent_at)
    again = min(
        a.answered_at
        for a in answers
        if a.acknowledged and a.answered_at > back.last_unavailable and a.sent_at > gone
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
        "what the edge answers while Redis is unavailable",
        f"{rounds} rounds each; {COURIERS} couriers post all the time; killed: SIGKILL, started "
        f"again after {OUTAGE_SECONDS:g} s (supervisord is stopped until then); stalled: SIGSTOP "
        f"for {OUTAGE_SECONDS:g} s; the slowest and the wrong ones are over all rounds, the others "
        "medians; each event that got its 2xx was done at the end",
        (*_figures("killed", killed), *_figures("stalled", stalled)),
        (f"{sum(o.answers for o in killed + stalled):,} requests were sent during the outages",),
    )


def _figures(kind: str, found: list[Outage]) -> tuple[Figure, ...]:
    first, slowest = [o.first_ms for o in found], [o.slowest_ms for o in found]
    wrong, again = [float(o.wrong) for o in found], [o.recovery_seconds for o in found]
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
    with ConstantLoad(env, prefix, signed.NO_ROUTE) as load:
        _under_way(load)
        redis = faults.pid(env, "redis")
        with faults.frozen(supervisor):
            sent, gone = faults.kill(redis)
            time.sleep(OUTAGE_SECONDS)
        back = faults.redis_returned(env)
        wait_until(lambda: load.acknowledged_since(back.answered), LIMIT_SECONDS, "a 2xx")
    env.redis.close()
    all_done(env, load.history)
    return judge(load.history.answers, gone, back, sent)


def _stalled(env: Environment, prefix: str) -> Outage:
    faults.settle(env)
    with ConstantLoad(env, prefix, signed.NO_ROUTE) as load:
        _under_way(load)
        sent = time.time()
        with faults.frozen(faults.pid(env, "redis")):
            gone = time.time()
            time.sleep(OUTAGE_SECONDS)
            last_unavailable = time.time()
        back = Return(last_unavailable, time.time())
        wait_until(lambda: load.acknowledged_since(back.answered), LIMIT_SECONDS, "a 2xx")
    all_done(env, load.history)
    return judge(load.history.answers, gone, back, sent)


def _under_way(load: ConstantLoad) -> None:
    answers = load.history.answers
    wait_until(lambda: len(answers) > 10 * COURIERS, LIMIT_SECONDS, "the first answers")
