"""supervisord with this project's configuration starts what died anew at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from conf.settings import ROOT
from gateway.stack import home_directory, orphans
from tests.support.servers import await_true

# Each of the two ways in which a death is noticed would do for half of them by luck.
DEATHS = 12
ONE_LOOK = 1.0  # seconds, supervisord's own pace; a start right after the death takes some 0.03

SLEEPER = """
[program:sleeper]
command=sh -c 'echo $$ >> pids; exec sleep 600'
directory={home}
startsecs=0
autorestart=true
redirect_stderr=true
"""


def test_what_died_is_started_anew_before_supervisord_would_look_again() -> None:
    with home_directory.temporary_home() as home:
        home_directory.prepare(home, home / ".run", (), ())
        (home / ".run" / "supervisor.d" / "sleeper.conf").write_text(SLEEPER.format(home=home))
        supervisord = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "supervisor.supervisord",
                "-n",
                "-s",
                "-c",
                str(home / "supervisord.conf"),
            ],
            cwd=home,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
        )
        try:
            # Nobody asks it anything meanwhile: a question would wake it, too.
            took = [_restart(home / "pids") for _ in range(DEATHS)]
            before = len(_started(home / "pids"))
            supervisord.send_signal(signal.SIGHUP)  # it reads its configuration anew
            await_true(lambda: len(_started(home / "pids")) > before, 20, "the reload")
            took_then = [_restart(home / "pids") for _ in range(DEATHS)]
        finally:
            supervisord.terminate()
            assert supervisord.wait(20) == 0
    # Not the slowest: on a busy machine one may be late for reasons of its own.
    assert sorted(took)[-2] < 0.75 * ONE_LOOK, took
    assert sorted(took_then)[-2] < 0.75 * ONE_LOOK, took_then


def _restart(pids: Path) -> float:
    """Kill what was started last, and wait for the next one; how long that took."""
    await_true(lambda: bool(_started(pids)), 20, "a start")
    number, victim = len(_started(pids)), _started(pids)[-1]
    await_true(lambda: (Path("/proc") / str(victim) / "comm").read_text() == "sleep\n", 20)
    began = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    await_true(lambda: len(_started(pids)) > number, 20, "the next start")
    assert not orphans.alive(victim)
    return time.monotonic() - began


def _started(pids: Path) -> list[int]:
    return [int(line) for line in pids.read_text().split()] if pids.exists() else []
