"""Real Routing Services, each a process on a port that the system chooses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3

ROOT = Path(__file__).resolve().parents[2]
CONDITION_SECONDS = 30.0  # that a condition may take on a busy machine
LATENCY_MS = 50

Start = Callable[..., tuple["subprocess.Popen[str]", str]]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Start a service with these settings. Returns its process and its URL."""
    processes: list[subprocess.Popen[str]] = []

    def launch(**settings: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "routingsim"],
            cwd=ROOT,
            env={**os.environ, "ROUTINGSIM_BIND": "127.0.0.1:0", **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        address = re.search(r"(127\.0\.0\.1:\d+)", process.stdout.readline())
        return process, f"http://{address[1]}" if address else ""

    yield launch
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def shared_url(start: Start) -> str:
    _, url = start(ROUTINGSIM_LATENCY_MS=str(LATENCY_MS))
    return url


@pytest.fixture
def url(shared_url: str) -> str:
    """A service with the default behaviour, counters at 0 and no call in flight."""
    urllib3.request("PUT", f"{shared_url}/behaviour", json={})
    _wait_for(shared_url, "in_flight", 0)
    urllib3.request("DELETE", f"{shared_url}/stats")
    return shared_url


@pytest.fixture
def wait_for() -> Callable[[str, str, int], None]:
    """Wait until a counter of the service at a URL has a value."""
    return _wait_for


def _wait_for(url: str, counter: str, value: int) -> None:
    deadline = time.monotonic() + CONDITION_SECONDS
    while (stats := urllib3.request("GET", f"{url}/stats").json())[counter] != value:
        assert time.monotonic() < deadline, f"{counter} never became {value}: {stats}"
        time.sleep(0.005)
