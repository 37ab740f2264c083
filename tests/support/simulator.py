"""A real Routing Service for the tests, in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import urllib3

from tests.support.servers import ROOT


@dataclass(frozen=True)
class Simulator:
    """Its base URL, and what a test asks of it."""

    url: str

    def behave(self, **behaviour: Any) -> None:
        """Set its behaviour; what is not named gets its default."""
        answer = urllib3.request("PUT", f"{self.url}/behaviour", json=behaviour)
        assert answer.status == 200, answer.data

    def stats(self) -> dict[str, int]:
        found: dict[str, int] = urllib3.request("GET", f"{self.url}/stats").json()
        return found


@contextmanager
def running() -> Iterator[Simulator]:
    """A Routing Service without latency."""
    # It must not outlive a test run that is killed.
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gateway.stack.die_with_parent",
            str(os.getpid()),
            sys.executable,
            "-m",
            "routingsim",
        ],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "ROUTINGSIM_BIND": "127.0.0.1:0", "ROUTINGSIM_LATENCY_MS": "0"},
    )
    assert process.stdout is not None
    address = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())
    assert address is not None
    yield Simulator(f"http://{address[0]}")
    process.terminate()
    process.communicate(timeout=30)
