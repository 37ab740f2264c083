"""How well the slots for the slow call are used while a backlog is drained."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime

from loadtest.harness import signed
from loadtest.harness.environment import Environment, Options, started
from loadtest.harness.figures import Figure, Section, at_least
from loadtest.harness.progress import say
from loadtest.harness.wait import RunFailed

PROCESSES, THREADS = 4, 64
CALL_SECONDS = 2.0
SLACK = 4  # times the ideal duration, after which the run counts as failed
POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Times:
    """Seconds since 1970."""

    started: float  # when supervisord was asked to start the workers
    first_call: float
    last_done: float
    lookups_done: float


def measure(options: Options) -> Section:
    at_once, count = PROCESSES * THREADS, options.pick(2560, 1024)
    ideal = count / at_once * CALL_SECONDS
    settings = {
        "ROUTING_PROCESSES": str(PROCESSES),
        "ROUTING_THREADS": str(THREADS),
        "ROUTINGSIM_LATENCY_MS": str(round(CALL_SECONDS * 1000)),
    }
    with started(options, settings) as env:
        env.stop_workers()
        env.preload("r", count, signed.ROUTE)
        say(f"{count:,} events that need a route, {at_once} calls at once: {ideal:g} s at best")
        times = _drain(env, count, ideal)
        stats = env.simulator.stats()
        routed = env.stat("done:routed")
    if routed != count or stats["calls"] != count:
        raise RunFailed(f"{routed} of {count} events were routed, by {stats['calls']} calls")
    elapsed = times.last_done - times.first_call
    return Section(
        "drain",
        f"{count:,} events that need the slow call, {at_once} calls at once",
        f"events waiting in the lookup lane, all workers started at once ({PROCESSES} routing "
        f"processes x {THREADS} threads, 1 lookup process); the simulator answers after "
        f"{CALL_SECONDS:g} s; from the first call (seen by asking it every 10 ms) to the last "
        "`done_at` in the ledger",
        (
            Figure("efficiency", ideal / elapsed, "ratio", at_least(0.90)),
            Figure("ideal", ideal, "s"),
            Figure("first call to last done", elapsed, "s"),
            Figure("workers started, to first call", times.first_call - times.started, "s"),
            Figure("first call to last lookup", times.lookups_done - times.first_call, "s"),
            Figure("calls held at once, at most", stats["max_concurrent"], "calls"),
            Figure("calls held at once, on average", count * CALL_SECONDS / elapsed, "calls"),
        ),
    )


def _drain(env: Environment, count: int, ideal: float) -> Times:
    """Start the workers, and note when what happens."""
    started = time.time()
    starting = threading.Thread(target=env.start_workers)  # it returns a second later
    starting.start()
    first_call = lookups_done = 0.0
    asked = started
    while env.stat("done") < count:
        now = time.time()
        if now > started + SLACK * ideal + 10:
            done = env.stat("done")
            raise RunFailed(f"{done} of {count} events done after {now - started:.0f} s")
        if not first_call and env.simulator.stats()["calls"]:
            first_call = asked  # the last time at which there was none: never too late
        if not lookups_done and env.stat("forwarded") >= count:
            lookups_done = now
        asked = now
        time.sleep(POLL_SECONDS)
    starting.join()
    newest = env.mongo["events"].find_one({}, {"done_at": 1}, sort=[("done_at", -1)])
    assert newest is not None
    last: datetime = newest["done_at"]
    return Times(started, first_call, last.timestamp(), lookups_done)
