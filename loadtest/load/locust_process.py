"""Locust in a process of its own: it patches the interpreter that it runs in."""

from __future__ import annotations

import contextlib
import csv
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from conf.settings import ROOT
from loadtest.harness.history import Answer, read
from loadtest.harness.wait import WaitTimedOut

STOP_SECONDS = 10  # for the answers to requests under way at the end of the run


@dataclass(frozen=True)
class Plan:
    """seconds: of the run, None where the locust file ends itself. report: with HTML."""

    name: str
    locustfile: str
    users: int
    seconds: int | None = None
    report: bool = True

    def command(self, host: str, evidence: str) -> list[str]:
        """The command, as typed in the project's root."""
        return [
            "locust",
            "-f",
            self.locustfile,
            "--headless",
            "-u",
            str(self.users),
            "-r",
            str(self.users),
            *(["-t", f"{self.seconds}s"] if self.seconds else []),
            "--host",
            host,
            "--run-name",
            self.name,
            "--stop-timeout",
            str(STOP_SECONDS),
            "--csv",
            f"{evidence}/{self.name}",
            *(["--html", f"{evidence}/{self.name}.html"] if self.report else []),
        ]


@dataclass(frozen=True)
class Outcome:
    """failures: as locust's own statistics count them. problem: why the run was no success, empty
    if it was."""

    answers: list[Answer]
    failures: int
    problem: str


def drive(
    plan: Plan,
    host: str,
    environ: Mapping[str, str],
    evidence: str,
    wait: Callable[[Callable[[], bool]], object],
) -> Outcome:
    """Run a plan against a gateway. environ: with the secrets. wait: returns when
    its condition holds; if it raises ``WaitTimedOut``, locust is killed."""
    with tempfile.TemporaryDirectory(prefix="load-") as name:
        answers, output = Path(name) / "answers.csv", Path(name) / "output.txt"
        answers.touch()
        command = [
            sys.executable,
            "-m",
            *plan.command(host, evidence),
            "--answers",
            str(answers),
            "--only-summary",
            "--exit-code-on-error",
            "1",
        ]
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        try:
            with contextlib.suppress(WaitTimedOut):
                wait(lambda: process.poll() is not None)
        finally:
            if process.poll() is None:
                process.kill()
            code = process.wait()
        stats = ROOT / evidence / f"{plan.name}_stats.csv"
        history, problem = read(answers), ""
        requests, failures = _counts(stats)
        if code or failures or requests != len(history):
            tail = output.read_text(errors="replace")[-2000:]
            print(tail, file=sys.stderr)  # not into the evidence: it names this host
            problem = (
                f"{plan.name}: locust ended with {code}, {failures} failures, {requests} "
                f"requests in its statistics and {len(history)} answers"
            )
        return Outcome(history, failures, problem)


def _counts(stats: Path) -> tuple[int, int]:
    """Requests and failures; -1 if locust ended before it wrote its statistics."""
    if not stats.exists():
        return -1, -1
    with stats.open(newline="") as file:
        total = [row for row in csv.DictReader(file) if row["Name"] == "Aggregated"]
    return (int(total[0]["Request Count"]), int(total[0]["Failure Count"])) if total else (-1, -1)
