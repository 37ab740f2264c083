"""``make demo``, from start to report."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.servers import ROOT


def test_the_demo_loses_no_event_retries_some_and_reconciles() -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "loadtest.demo"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    last = json.loads(demo.stdout.splitlines()[-1])
    assert last["posted"] == 120
    assert last["accepted"] == 100 == last["completed"] + last["dead"]
    assert (last["duplicates"], last["failed_requests"], last["dead"]) == (20, 0, 1)
    assert last["retries"] > 0
    assert last["audit"] == "balanced"
