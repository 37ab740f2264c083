"""A short `make chaos`: every kind of fault once or more, on a stack of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from gateway.stack import orphans
from loadtest.chaos.plan import WEIGHTS
from tests.support.servers import ROOT, await_true

LIMIT_SECONDS = 400  # a hang is a failure; a run takes about 70 on a machine with nothing else
CHAOS = [sys.executable, "-u", "-m", "loadtest.chaos"]


def test_whatever_is_killed_nothing_is_lost_and_nothing_happens_twice() -> None:
    run = subprocess.run(
        [*CHAOS, "--duration", "41", "--seed", "40"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-5_000:]
    summary = json.loads(run.stdout.splitlines()[-1])
    assert [summary[name] for name in ("lost", "doubled", "wrong", "repeats_unexcused")] == [0] * 4
    assert summary["faults"] + summary["missed_faults"] >= 38
    assert summary["faults"] >= 30
    assert summary["promised"] >= summary["accepted"] > 0
    assert summary["duplicates"] > 0
    kinds = [kind for kind in WEIGHTS if re.search(rf"^ +{kind} +[1-9]", run.stdout, re.MULTILINE)]
    assert len(kinds) >= len(WEIGHTS) - 2, (
        run.stdout
    )  # a target may not run in time on a busy machine


def test_a_run_that_is_interrupted_leaves_nothing_behind(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("c")  # short enough for the sockets below it
    with subprocess.Popen(
        [*CHAOS, "--duration", "60", "--seed", "1"],
        cwd=ROOT,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if "  202 " in line and "0 faults" not in line:
                break
        (home,) = folder.glob("gateway-*")
        assert orphans.find(home)
        run.send_signal(signal.SIGINT)
        said = run.communicate(timeout=LIMIT_SECONDS)[0]
    assert run.returncode == 130, said
    assert "everything that was started is gone" in said
    await_true(lambda: not orphans.find(home), 5, "its processes to be gone")
    assert not home.exists()
