"""supervisord with this project's configuration restarts a process at once."""

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

# Enough that neither of the plugin's two wake-ups passes alone: by chance it would serve half.
KILLS = 12
LOOP_SECONDS = 1.0  # supervisord's own interval; a restart at once takes about 0.03 s

SLEEPER = """
[program:sleeper]
command=sh -c 'echo $$ >> pids; exec sleep 600'
directory={home}
startsecs=0
autorestart=true
redirect_stderr=true
"""


def test_a_killed_process_is_restarted_sooner_than_supervisords_own_interval() -> None:
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
            # No RPC meanwhile: a request would also wake supervisord's loop.
            took = [_restart(home / "pids") for _ in range(KILLS)]
            before = len(_started(home / "pids"))
            supervisord.send_signal(signal.SIGHUP)  # reload
            await_true(lambda: len(_started(home / "pids")) > before, 20, "the reload")
            took_after_reload = [_restart(home / "pids") for _ in range(KILLS)]
        finally:
            supervisord.terminate()
            assert supervisord.wait(20) == 0
    # The slowest is left out: on a busy machine one restart may be late for other reasons.
    assert sorted(took)[-2] < 0.75 * LOOP_SECONDS, took
    assert sorted(took_after_reload)[-2] < 0.75 * LOOP_SECONDS, took_after_reload


def _restart(pids: Path) -> float:
    """Kill the process started last and wait for the next; returns the seconds this took."""
    await_true(lambda: bool(_started(pids)), 20, "a start")
    number, pid = len(_started(pids)), _started(pids)[-1]
    await_true(lambda: (Path("/proc") / str(pid) / "comm").read_text() == "sleep\n", 20)
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    await_true(lambda: len(_started(pids)) > number, 20, "the next start")
    assert not orphans.alive(pid)
    return time.monotonic() - began


def _started(pids: Path) -> list[int]:
    return [int(line) for line in pids.read_text().split()] if pids.exists() else []
