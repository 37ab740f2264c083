"""Runs wrk on a file of requests: a closed loop over 100 connections, or as many as one says."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from loadtest.harness.signed import RequestFile
from loadtest.harness.wait import RunFailed, ToolMissing

CONNECTIONS = 100
THREADS = 2  # as in requests.lua; each core of a small machine gets one
SETTLE_SECONDS = 0.5  # for the last answers, at the least
SCRIPT = Path(__file__).with_name("requests.lua")


@dataclass(frozen=True)
class Run:
    """seconds: from the first request to the last answer."""

    answers: int
    seconds: float
    not_2xx: int
    broken: int
    p50_ms: float
    p99_ms: float
    max_ms: float

    @property
    def rate(self) -> float:
        return self.answers / self.seconds


def find() -> str:
    """The path of wrk. Raises ``ToolMissing``."""
    path = shutil.which("wrk")
    if path is None:
        raise ToolMissing("wrk is not on the PATH: apt-get install wrk (brew install wrk)")
    return path


def run(
    url: str,
    requests: RequestFile,
    seconds: float,
    *,
    cycle: bool = False,
    connections: int = CONNECTIONS,
) -> Run:
    """Send for ``seconds``, or until the file ends unless it is to be sent over and over.

    Raises ``RunFailed`` unless every request was answered with a 2xx.
    """
    whole = math.ceil(seconds + SETTLE_SECONDS)
    command = [
        find(),
        f"-t{THREADS}",
        f"-c{connections}",
        f"-d{whole}s",
        "--timeout",
        "5s",
        "-s",
        str(SCRIPT),
        url,
        "--",
        str(requests.path),
        str(requests.size_bytes),
        str(requests.count),
        f"{seconds:g}",
        "cycle" if cycle else "once",
    ]
    ended = subprocess.run(command, text=True, capture_output=True, timeout=whole + 20, check=False)
    line = next((line for line in ended.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        said = (ended.stderr or ended.stdout).strip().splitlines()
        raise RunFailed(f"wrk did not end well: {said[-1] if said else ended.returncode}")
    result = Run(**json.loads(line.removeprefix("RESULT ")))
    if result.not_2xx or result.broken or not result.answers:
        raise RunFailed(
            f"{result.not_2xx} answers were no 2xx, {result.broken} connections "
            f"broke, {result.answers} answers"
        )
    return result
