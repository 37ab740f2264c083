"""One run: start, load and faults, drain, check, replay the dead letters, drain and check again."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pymongo.errors import PyMongoError
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from loadtest.chaos import evidence, plan, report
from loadtest.chaos.environment import Environment, add_shipment, started
from loadtest.chaos.generator import Generator
from loadtest.chaos.nemesis import Nemesis
from loadtest.chaos.timeline import timeline
from loadtest.chaos.tracebacks import tracebacks
from loadtest.harness import checker, stores
from loadtest.harness.accounts import Accounts
from loadtest.harness.history import ACCEPTED, DUPLICATE, NO_ANSWER, History
from loadtest.harness.progress import Every, Progress
from loadtest.harness.verdict import SEVERITIES, Verdict
from loadtest.harness.wait import WaitTimedOut, wait_until

LINE_SECONDS = 3.0
DRAIN_SECONDS = 120.0  # for every event to come to its end, once nothing is broken any more
COMMAND_SECONDS = 120.0
TIMELINES = 3  # events of which everything is printed


@dataclass(frozen=True)
class Options:
    """evidence: the folder in which a failed run is kept. keep: a good one, too."""

    duration_seconds: float
    seed: int
    evidence: Path
    keep: bool = False


def run(options: Options) -> int:
    """The exit code: 0 only if nothing was lost, doubled or wrong."""
    say = Progress()
    say(f"seed {options.seed}: starting a stack of its own, its stores behind a proxy …")
    with started() as env:
        say(f"everything is up; {options.duration_seconds:g} s of load and faults")
        return Run(options, env, say).run()


class Run:
    def __init__(self, options: Options, env: Environment, say: Progress) -> None:
        self._options, self._env, self._say = options, env, say
        self._history = History()
        self._redis = stores.redis(env.redis_url)
        redis = AsyncRedis.from_url(env.redis_url, socket_timeout=1, socket_connect_timeout=1)
        self._generator = Generator(env.stack.gateway_url, options.seed, self._history, redis)
        self._nemesis = Nemesis(env)
        self._routing = plan.routing(options.seed, options.duration_seconds)
        self._line = Every(LINE_SECONDS)

    def run(self) -> int:
        try:
            self._load_and_faults()
            self._drain("what was accepted")
            before = checker.check(self._accounts(), replayed=False)
            dead = sum(map(len, before.dead.values()))
            if dead:
                self._replay(dead)
                self._drain("the replayed")
            accounts = self._accounts()
            return self._report(accounts, before, checker.check(accounts))
        except WaitTimedOut as stuck:
            self._say(f"NOT DRAINED: {stuck}")
            accounts = self._accounts()
            verdict = checker.check(accounts, replayed=False)
            self._report(accounts, verdict, verdict)
            return 1
        finally:
            self._nemesis.end()

    @property
    def _logs(self) -> Path:
        return self._env.stack.run_dir / "log"

    # ---- load and faults

    def _load_and_faults(self) -> None:
        began = time.monotonic()
        load = self._env.loop.begin(self._generator.run())

        def between() -> None:
            elapsed = time.monotonic() - began
            while self._routing and self._routing[0][0] <= elapsed:
                self._env.simulator.behave(**self._routing.pop(0)[1])
            self._add_early_shipments(time.time())
            self._progress()
            if load.done():
                load.result()

        self._nemesis.run(plan.faults(self._options.seed, self._options.duration_seconds), between)
        self._env.loop.call(self._generator.stop.set)
        self._env.simulator.behave(**plan.HEALTHY)
        self._say(
            f"{len(self._nemesis.faults)} faults were inflicted; the load stops, what is not "
            "acknowledged yet is sent again"
        )
        self._until(load.done, self._unacknowledged)
        load.result()
        self._until(self._all_known, lambda: f"the shipments {self._generator.early}")
        self._until(self._all_run, self._not_running)

    def _unacknowledged(self) -> str:
        left = self._history.unacknowledged
        return f"a 2xx for {len(left)} events, such as {left[:3]}"

    def _add_early_shipments(self, now: float) -> None:
        """Create the shipments of events that were sent too early, when their time has come."""
        early = self._generator.early
        for shipment, at in list(early.items()):
            if at <= now:
                with contextlib.suppress(PyMongoError):  # unavailable: tried again at the next call
                    add_shipment(self._env.impatient_mongo, shipment)
                    del early[shipment]

    def _all_known(self) -> bool:
        self._add_early_shipments(float("inf"))
        return not self._generator.early

    def _all_run(self) -> bool:
        processes = self._env.stack.supervisor.processes()
        return bool(processes) and all(process.state == "RUNNING" for process in processes)

    def _not_running(self) -> str:
        processes = self._env.stack.supervisor.processes()
        return "processes to run: " + ", ".join(
            f"{p.name} {p.state}" for p in processes if p.state != "RUNNING"
        )

    def _progress(self) -> None:
        if not self._line.due():
            return
        counts = self._history.statuses
        try:
            places = stores.waiting(self._redis)
            where = ", ".join(
                f"{sum(n for place, n in places.items() if place.startswith(kind)):,} {kind}"
                for kind in ("waiting", "in work", "retrying")
            )
        except (RedisError, OSError):
            where = "Redis is unavailable"
        self._say(
            f"{len(self._nemesis.faults):>3} faults  202 {counts[ACCEPTED]:,}  "
            f"200 {counts[DUPLICATE]:,}  503 {counts[503]:,}  none {counts[NO_ANSWER]:,} | "
            f"{where} | {self._nemesis.latest}"
        )

    # ---- afterwards

    def _drain(self, what: str) -> None:
        self._say(f"waiting until {what} events have come to their end …")
        self._until(
            lambda: not stores.waiting(self._redis),
            lambda: f"{what} events to come to their end: {stores.waiting(self._redis)}",
        )

    def _until(self, condition: Callable[[], bool], what: Callable[[], str]) -> None:
        def holds() -> bool:
            self._progress()
            with contextlib.suppress(RedisError, OSError):
                return condition()
            return False

        wait_until(holds, DRAIN_SECONDS, what, poll_seconds=0.1)

    def _replay(self, dead: int) -> None:
        """Replay the dead letters with the documented command."""
        self._say(f"replaying {dead} dead letters: python -m gateway dead replay --all")
        done = self._gateway("dead", "replay", "--all")
        if done.returncode:
            self._say(f"the command failed: {done.stderr.strip()}")

    def _gateway(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gateway", *arguments],
            check=False,
            env=self._env.stack.env,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )

    def _accounts(self) -> Accounts:
        ledger, shipments = stores.read_mongo(self._env.mongo)
        return Accounts(
            events=self._history.events,
            answers=self._history.answers,
            queue=stores.read_queue(self._redis),
            ledger=ledger,
            shipments=shipments,
            calls=list(self._env.service.calls),
            routed=self._env.simulator.routed(),
            faults=sorted(self._nemesis.faults, key=lambda fault: fault.at),
            stalls=self._env.stall_detector.stalls,
            tracebacks=tracebacks(self._logs),
        )

    def _report(self, accounts: Accounts, before: Verdict, after: Verdict) -> int:
        silence_seconds = self._history.longest_silence_seconds
        print("\n".join(["", *report.table(accounts, before, after, silence_seconds), ""]))
        audit = self._gateway("audit", "--effects")
        print(f"the product's own audit: {(audit.stdout or audit.stderr).strip().splitlines()[-1]}")
        problems = sorted(
            dict.fromkeys([*before.problems, *after.problems]),
            key=lambda problem: SEVERITIES.index(problem.severity),
        )
        for problem in problems:
            print(problem)
        keys = list(dict.fromkeys(problem.key for problem in problems if problem.key))
        for key in keys[:TIMELINES]:
            print("\n".join(["", *timeline(accounts, key, self._logs)]))
        failed = bool(problems or audit.returncode)
        if failed or self._options.keep:
            kept = evidence.keep(
                self._options.evidence, self._options.seed, accounts, problems, self._logs
            )
            print(f"\nevery account and log of this run is kept in {kept}")
        summary = {
            "seed": self._options.seed,
            **report.summary(accounts, before, after, silence_seconds),
            "missed_faults": len(self._nemesis.missed),
            "audit": audit.returncode,
        }
        print(json.dumps(summary))
        return int(failed)
