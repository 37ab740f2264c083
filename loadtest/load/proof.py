"""One run of everything, on a stack that is up and empty: the load, the drain, and the checks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from conf.settings import ROOT, load
from gateway.cli.seed import insert_missing
from gateway.stack.readiness import StackError
from gateway.stack.stack import Stack
from loadtest.demo import behave
from loadtest.load import versions
from loadtest.load.checker import check
from loadtest.load.locust_process import Outcome, Plan, drive
from loadtest.load.sampling import Watch
from loadtest.load.summary import Measured
from loadtest.load.traffic import SHIPMENTS_PER_USER, USERS
from scheduler.connection import RedisConnection
from scheduler.inspector import Inspector
from workers import mongo

FAILING_SHARE = 0.2  # of the events: their first routing call fails
OVERTIME_SECONDS = 60  # beyond its run time, before a locust counts as stuck
DRAIN_LIMIT_SECONDS = 240


class Proof:
    """say: prints a line. folder: of the evidence, from the project's root."""

    def __init__(self, stack: Stack, say: Callable[[str], None], folder: str, seconds: int) -> None:
        self._stack, self._say, self._folder = stack, say, folder
        self._database = mongo.connect(stack.mongo_url, 1)
        self._watch = Watch(Inspector(RedisConnection(stack.redis_url)), say)
        self._burst = Plan("burst", "loadtest/locustfile_burst.py", USERS, report=False)
        self._sustained = Plan("sustained", "loadtest/locustfile.py", USERS, seconds)
        self._problems: list[str] = []

    def measure(self) -> Measured:
        """Raises ``StackError`` where the stack does not do what it is told."""
        shipments = insert_missing(self._database, USERS * SHIPMENTS_PER_USER)
        behave(self._stack, fail_first=1, fail_first_ratio=FAILING_SHARE, fail_status=503)
        self._say(
            f"{shipments:,} shipments with open orders; a routing call takes 2 s, and the "
            f"first one for {FAILING_SHARE:.0%} of the events fails (503)"
        )
        self._say(f"the burst: {USERS} users, one request each, all at once")
        burst, burst_end = self._run(self._burst)
        self._say(f"the sustained run: {USERS} users for {self._sustained.seconds} s")
        sustained, end = self._run(self._sustained)

        accounts = versions.accounts(
            [*burst.answers, *sustained.answers], self._database, self._stack
        )
        verdict = check(accounts)
        for line in verdict.lines():
            self._say(line)
        if not verdict.clean:
            self._problems.append("not each accepted event had one effect")
        if not verdict.recovered:
            self._problems.append("nothing was retried with success")
        settings = load(self._stack.env)
        return Measured(
            burst=burst.answers,
            sustained=sustained.answers,
            failures={"burst": burst.failures, "sustained": sustained.failures},
            samples=self._watch.samples,
            ledger=accounts.ledger,
            verdict=verdict,
            simulator=versions.simulator(self._stack, "/stats"),
            burst_end=burst_end,
            end=end,
            slots=settings.routing_processes * settings.routing_threads,
            audit=self._audit(),
            problems=self._problems,
            versions=versions.versions(self._stack, self._database),
            commands=[
                " ".join(plan.command("http://127.0.0.1:8080", self._folder))
                for plan in (self._burst, self._sustained)
            ],
        )

    def _run(self, plan: Plan) -> tuple[Outcome, float]:
        """Load, then the drain; with when that ended (seconds since 1970, by Redis's clock)."""
        limit = (plan.seconds or 0) + OVERTIME_SECONDS
        outcome = drive(
            plan,
            self._stack.gateway_url,
            self._stack.env,
            self._folder,
            lambda over: self._watch.until(lambda _: over(), limit),
        )
        if not outcome.answers:
            raise StackError(outcome.problem or f"{plan.name}: nothing was answered")
        if outcome.problem:
            self._problems.append(outcome.problem)
        self._say(
            f"{plan.name}: {len(outcome.answers):,} answers, {outcome.failures} failures; "
            "waiting until all is done"
        )
        if not self._watch.until(lambda sample: sample.open == 0, DRAIN_LIMIT_SECONDS):
            self._problems.append(f"{plan.name}: not drained within {DRAIN_LIMIT_SECONDS} s")
        return outcome, self._watch.samples[-1].at

    def _audit(self) -> str:
        """What ``python -m gateway audit --effects`` says: the product's own account."""
        run = subprocess.run(
            [sys.executable, "-m", "gateway", "audit", "--effects"],
            cwd=ROOT,
            env=self._stack.env,
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            self._problems.append(f"the audit ended with {run.returncode}")
        text = (run.stdout + run.stderr).strip()
        self._say(text)
        return text
