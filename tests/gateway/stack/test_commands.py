"""``python -m gateway.stack`` and its former name, ``python -m gateway.local``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.servers import ROOT


@pytest.mark.parametrize("module", ["gateway.stack", "gateway.local"])
def test_both_names_run_the_same_commands(module: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", module, "no-such-command"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.startswith("usage: python -m gateway.stack COMMAND\n")
    assert "redis-cli ARG…" in run.stderr
