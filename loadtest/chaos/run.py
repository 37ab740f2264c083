"""One run: start, load and faults, mend, drain, compare, replay the dead letters, compare again."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from pymongo.errors import PyMongoError
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from loadtest.chaos import evidence, plan, report
from loadtest.chaos.environment import LEASE_SECONDS, Scene, make_known, scene
from loadtest.chaos.generator import Couriers
from loadtest.chaos.nemesis import Faults
from loadtest.chaos.timeline import story
from loadtest.chaos.told import Told
from loadtest.chaos.tracebacks import traces
from loadtest.harness import checker, stores
from loadtest.harness.accounts import Accounts
from loadtest.harness.checker import Verdict

LINE_SECONDS = 3.0
PATIENCE_SECONDS = 120.0  # for all that waits to come to its end, once nothing is broken any more
COMMAND_SECONDS = 120.0
STORIES = 3


class Stuck(Exception):
    """It did not drain; ``str()`` says what is left."""


@dataclass(frozen=True)
class Options:
    duration: float
    seed: int
    evidence: Path
    keep: bool = False  # the evidence of a good run, too


def run(options: Options) -> int:
    """The exit code: 0 only if nothing was lost, doubled or wrong."""
    say = Clock()
    say(f"seed {options.seed}: starting a stack of its own, its stores behind a proxy …")
    with scene() as stage:
        say(f"everything is up; {options.duration:g} s of load and faults")
        return Run(options, stage, say).run()


class Clock:
    """Prints a line with the seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        line = f"[{time.monotonic() - self._started:5.1f} s] {text}"
        if sys.stdout.isatty():  # a line each, however narrow the window is
            line = line[: shutil.get_terminal_size().columns]
        print(line, flush=True)


class Run:
    def __init__(self, options: Options, stage: Scene, say: Clock) -> None:
        self._options, self._stage, self._say = options, stage, say
        self._told = Told()
        self._redis = stores.redis(stage.wires.redis_port)
        self._couriers = Couriers(
            stage.stack.gateway_url,
            options.seed,
            self._told,
            AsyncRedis(
                host="127.0.0.1",
                port=stage.wires.redis_port,
                socket_timeout=1,
                socket_connect_timeout=1,
            ),
        )
        self._faults = Faults(stage.stack, stage.wires, LEASE_SECONDS, stage.keeper)
        self._weather = plan.weather(options.seed, options.duration)
        self._next_line = 0.0

    def run(self) -> int:
        try:
            self._storm()
            self._drain("what was accepted")
            before = checker.check(self._accounts(), replayed=False)
            dead = sum(map(len, before.dead.values()))
            if dead:
                self._replay(dead)
                self._drain("the replayed")
            accounts = self._accounts()
            return self._judge(accounts, before, checker.check(accounts))
        except Stuck as stuck:
            self._say(f"NOT DRAINED: {stuck}")
            accounts = self._accounts()
            verdict = checker.check(accounts, replayed=False)
            self._judge(accounts, verdict, verdict)
            return 1
        finally:
            self._faults.end()

    @property
    def _logs(self) -> Path:
        return self._stage.stack.run_dir / "log"

    # ---- the storm

    def _storm(self) -> None:
        started = time.monotonic()
        load: Future[None] = self._stage.loop.begin(self._couriers.run())

        def between() -> None:
            elapsed = time.monotonic() - started
            while self._weather and self._weather[0][0] <= elapsed:
                self._stage.loop.run(self._stage.service.behave(self._weather.pop(0)[1]))
            self._introduce(time.time())
            self._progress()
            if load.done():
                load.result()

        planned = plan.faults(self._options.seed, self._options.duration)
        self._faults.run(planned, between)
        self._stage.loop.call(self._couriers.stop.set)
        self._stage.loop.run(
            self._stage.service.behave(
                self._weather[-1][1] if self._weather else {"latency_ms": 100}
            )
        )
        self._say(
            f"{len(self._faults.log)} faults were inflicted; the load stops, what is not "
            "acknowledged yet is sent again"
        )
        with contextlib.suppress(TimeoutError):
            load.result(PATIENCE_SECONDS)
        if not load.done():
            raise Stuck(f"no 2xx for {len(self._told.owed)} events, such as {self._told.owed[:3]}")
        self._until(self._all_introduced, lambda: f"shipments not made: {self._couriers.early}")
        self._until(
            self._all_run,
            lambda: (
                "processes that do not run: "
                + ", ".join(
                    f"{p.name} {p.state}"
                    for p in self._stage.stack.supervisor.processes()
                    if p.state != "RUNNING"
                )
            ),
        )

    def _introduce(self, now: float) -> None:
        """Make known the shipments of which couriers told too early."""
        early = self._couriers.early
        for shipment, at in list(early.items()):
            if at <= now:
                with contextlib.suppress(PyMongoError):  # away: at the next look
                    make_known(self._stage.quick, shipment)
                    del early[shipment]

    def _all_introduced(self) -> bool:
        self._introduce(float("inf"))
        return not self._couriers.early

    def _all_run(self) -> bool:
        processes = self._stage.stack.supervisor.processes()
        return bool(processes) and all(process.state == "RUNNING" for process in processes)

    def _progress(self) -> None:
        if time.monotonic() < self._next_line:
            return
        self._next_line = time.monotonic() + LINE_SECONDS
        counts = self._told.counts
        try:
            where = ", ".join(f"{n:,} {name}" for name, n in stores.whereabouts(self._redis))
        except (RedisError, OSError):
            where = "Redis is away"
        self._say(
            f"{len(self._faults.log):>3} faults  202 {counts['202']:,}  "
            f"200 {counts['200']:,}  503 {counts['503']:,}  none {counts['unknown']:,} | "
            f"{where} | {self._faults.latest}"
        )

    # ---- afterwards

    def _drain(self, what: str) -> None:
        self._say(f"waiting until {what} events have come to their end …")
        self._until(
            lambda: not stores.waiting(self._redis),
            lambda: f"{stores.waiting(self._redis)} after {PATIENCE_SECONDS:g} s",
        )

    def _until(self, condition: Callable[[], bool], lack: Callable[[], str]) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            with contextlib.suppress(RedisError, OSError):
                if condition():
                    return
            if time.monotonic() > until:
                raise Stuck(lack())
            self._progress()
            time.sleep(0.1)

    def _replay(self, dead: int) -> None:
        """By the documented command."""
        self._say(f"replaying {dead} dead letters: python -m gateway dead replay --all")
        done = self._gateway("dead", "replay", "--all")
        if done.returncode:
            self._say(f"the command failed: {done.stderr.strip()}")

    def _gateway(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gateway", *arguments],
            check=False,
            env=self._stage.stack.env,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )

    def _accounts(self) -> Accounts:
        ledger, shipments = stores.read_mongo(self._stage.mongo)
        return Accounts(
            events=self._told.events,
            answers=self._told.answers,
            queue=stores.read_queue(self._redis),
            ledger=ledger,
            shipments=shipments,
            calls=list(self._stage.service.calls),
            routed=self._stage.loop.run(self._stage.service.routed()),
            faults=sorted(self._faults.log, key=lambda fault: fault.at),
            stalls=self._stage.pulse.stalls,
            traces=traces(self._logs),
        )

    def _judge(self, accounts: Accounts, before: Verdict, after: Verdict) -> int:
        silence = self._told.longest_silence[0]
        print("\n".join(["", *report.table(accounts, before, after, silence), ""]))
        audit = self._gateway("audit", "--effects")
        print(f"the product's own audit: {(audit.stdout or audit.stderr).strip().splitlines()[-1]}")
        problems = sorted(
            dict.fromkeys([*before.problems, *after.problems]),
            key=lambda problem: checker.SEVERITIES.index(problem.severity),
        )
        for problem in problems:
            print(
                f"{problem.severity.upper()}: {problem.key or problem.shipment or 'the books'}: "
                f"{problem.text}"
            )
        stories = list(dict.fromkeys(problem.key for problem in problems if problem.key))
        for key in stories[:STORIES]:
            print("\n".join(["", *story(accounts, key, self._logs)]))
        if problems or audit.returncode or self._options.keep:
            kept = evidence.keep(
                self._options.evidence, self._options.seed, accounts, problems, self._logs
            )
            print(f"\nevery account and log of this run is kept in {kept}")
        summary = report.summary(accounts, before, after, silence)
        print(
            json.dumps(
                {
                    "seed": self._options.seed,
                    **summary,
                    "missed_faults": len(self._faults.missed),
                    "audit": audit.returncode,
                }
            )
        )
        return 1 if problems or audit.returncode else 0
