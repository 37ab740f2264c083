"""One run of everything, on a stack that is up and empty: the load, the drain, and the checks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from conf.settings import ROOT, load
from gateway.cli.seed import insert_missing
from gateway.stack.stack import Stack
from loadtest.harness import stores
from loadtest.harness.accounts import Accounts
from loadtest.harness.checker import check
from loadtest.harness.history import events_of
from loadtest.harness.simulator import Simulator
from loadtest.harness.verdict import Verdict
from loadtest.harness.wait import RunFailed, WaitTimedOut
from loadtest.load.locust_process import Outcome, Plan, drive
from loadtest.load.sampling import Sampler
from loadtest.load.summary import Measured, routing_calls
from loadtest.load.traffic import SHIPMENTS_PER_USER, USERS
from loadtest.load.versions import versions
from scheduler.connection import RedisConnection
from scheduler.inspector import Inspector
from workers import mongo

FAILING_SHARE = 0.2  # of the events: their first routing call fails
OVERTIME_SECONDS = 60  # beyond its run time, before a locust counts as stuck
DRAIN_SECONDS = 240
STORE_SECONDS = 5.0  # for MongoDB to answer


class Proof:
    """say: prints a line. folder: of the evidence, from the project's root."""

    def __init__(self, stack: Stack, say: Callable[[str], None], folder: str, seconds: int) -> None:
        self._stack, self._say, self._folder = stack, say, folder
        self._simulator = Simulator(stack.routing_url)
        self._sampler = Sampler(Inspector(RedisConnection(stack.redis_url)), say)
        self._burst = Plan("burst", "loadtest/locustfile_burst.py", USERS, report=False)
        self._sustained = Plan("sustained", "loadtest/locustfile.py", USERS, seconds)
        self._problems: list[str] = []

    def measure(self) -> Measured:
        """Raises ``RunFailed`` where locust or the simulator does not do its part."""
        shipments = insert_missing(
            mongo.connect(self._stack.mongo_url, 1), USERS * SHIPMENTS_PER_USER
        )
        self._simulator.behave(fail_first=1, fail_first_ratio=FAILING_SHARE, fail_status=503)
        self._say(
            f"{shipments:,} shipments with open orders; a routing call takes 2 s, and the "
            f"first one for {FAILING_SHARE:.0%} of the events fails (503)"
        )
        self._say(f"the burst: {USERS} users, one request each, all at once")
        burst, burst_end = self._run(self._burst)
        self._say(f"the sustained run: {USERS} users for {self._sustained.seconds} s")
        sustained, end = self._run(self._sustained)
        redis = stores.redis(self._stack.redis_url)
        with stores.mongo(self._stack.mongo_url, STORE_SECONDS) as client:
            answers = [*burst.answers, *sustained.answers]
            ledger, shipment_documents = stores.read_mongo(client)
            accounts = Accounts(
                events=events_of(answers),
                answers=answers,
                queue=stores.read_queue(redis),
                ledger=ledger,
                shipments=shipment_documents,
                routed=self._simulator.routed(),
            )
            about = versions(redis, client)
        redis.close()
        verdict = self._check(accounts)
        settings = load(self._stack.env)
        return Measured(
            burst=burst.answers,
            sustained=sustained.answers,
            failures={"burst": burst.failures, "sustained": sustained.failures},
            samples=self._sampler.samples,
            ledger=ledger,
            verdict=verdict,
            simulator=self._simulator.stats(),
            burst_end=burst_end,
            end=end,
            slots=settings.routing_processes * settings.routing_threads,
            audit=self._audit(),
            problems=self._problems,
            versions=about,
            commands=[
                " ".join(plan.command("http://127.0.0.1:8080", self._folder))
                for plan in (self._burst, self._sustained)
            ],
        )

    def _check(self, accounts: Accounts) -> Verdict:
        verdict = check(accounts, retriable=())
        for line in verdict.lines():
            self._say(line)
        if verdict.problems:
            self._problems.append("not each accepted event had one effect")
        else:
            self._say(f"{len(accounts.events)} events were accepted, and each had one effect")
        if not any(calls > 1 for calls in routing_calls(accounts.ledger)):
            self._problems.append("no retry succeeded")
        return verdict

    def _run(self, plan: Plan) -> tuple[Outcome, float]:
        """Load, then the drain; with when that ended (seconds since 1970, by Redis's clock)."""
        limit = (plan.seconds or 0) + OVERTIME_SECONDS
        outcome = drive(
            plan,
            self._stack.gateway_url,
            self._stack.env,
            self._folder,
            lambda over: self._sampler.until(lambda _: over(), limit, "locust to end"),
        )
        if not outcome.answers:
            raise RunFailed(outcome.problem or f"{plan.name}: no request was answered")
        if outcome.problem:
            self._problems.append(outcome.problem)
        self._say(
            f"{plan.name}: {len(outcome.answers):,} answers, {outcome.failures} failures; "
            "waiting until all is done"
        )
        try:
            self._sampler.until(
                lambda sample: sample.unfinished == 0, DRAIN_SECONDS, "all events to be done"
            )
        except WaitTimedOut as late:
            self._problems.append(f"{plan.name}: {late}")
        return outcome, self._sampler.samples[-1].at

    def _audit(self) -> str:
        """What ``python -m gateway audit --effects`` prints: the product's own check."""
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
