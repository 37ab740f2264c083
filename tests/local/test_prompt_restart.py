"""supervisord with this project's configuration starts what died anew at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from conf.settings import ROOT
from gateway.local import instance, orphans
from tests.servers import await_true

DEATHS = 4
# supervisord's own pace: a look a second. A start right after the death takes 20 ms or so.
ONE_LOOK = 1.0

SLEEPER = """
[program:sleeper]
command=sh -c 'echo $$ >> pids; exec sleep 600'
directory={home}
startsecs=0
autorestart=true
redirect_stderr=true
"""


def test_what_died_is_started_anew_before_supervisord_would_look_again() -> None:
    with instance.temporary_home() as home:
        instance.prepare(home, home / ".run", (), ())
        (home / ".run" / "supervisor.d" / "sleeper.conf").write_text(SLEEPER.format(home=home))
        supervisord = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-n", "-s",
             "-c", str(home / "supervisord.conf")],
            cwd=home, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL)
        try:
            # Nobody asks it anything meanwhile: a question would wake it, too.
            took = [_restart(home / "pids", number) for number in range(1, DEATHS + 1)]
        finally:
            supervisord.terminate()
            assert supervisord.wait(20) == 0
    assert min(took) < ONE_LOOK / 2, took


def _restart(pids: Path, number: int) -> float:
    """Kill what was started as the number-th, and wait for the next one; how long that took."""
    await_true(lambda: len(_started(pids)) == number, 20, "a start")
    victim = _started(pids)[-1]
    await_true(lambda: (Path("/proc") / str(victim) / "comm").read_text() == "sleep\n", 20)
    began = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    await_true(lambda: len(_started(pids)) > number, 20, "the next start")
    assert not orphans.alive(victim)
    return time.monotonic() - began


def _started(pids: Path) -> list[int]:
    return [int(line) for line in pids.read_text().split()] if pids.exists() else []
