"""At shutdown the edge and the workers drain together; the stores stop after them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from conf.settings import ROOT
from gateway.stack import home_directory
from tests.support.servers import await_true

# Creates <name>.stopping when it gets SIGTERM, and exits once <name>.may-end exists.
PROGRAM = """
[program:{name}]
command={python} {script} {name}
directory={home}
priority={priority}
stopwaitsecs=600
startsecs=0
autorestart=false
"""
SCRIPT = """
import pathlib, signal, sys, time
name = pathlib.Path(sys.argv[1])
signals = []
signal.signal(signal.SIGTERM, lambda *_: signals.append(1))
name.with_suffix(".up").touch()
while not signals:
    time.sleep(0.01)
name.with_suffix(".stopping").touch()
while not name.with_suffix(".may-end").exists():
    time.sleep(0.01)
"""
PRIORITIES = {"redis": 10, "worker-lookup": 40, "worker-routing": 40, "gateway": 60}


def test_the_edge_and_the_workers_stop_at_once_and_the_stores_after_they_have_exited() -> None:
    with home_directory.temporary_home() as home:
        home_directory.prepare(home, home / ".run", (), ())
        (home / "script.py").write_text(SCRIPT)
        (home / ".run" / "supervisor.d" / "all.conf").write_text(
            "".join(
                PROGRAM.format(
                    name=name,
                    priority=priority,
                    home=home,
                    python=sys.executable,
                    script=home / "script.py",
                )
                for name, priority in PRIORITIES.items()
            )
        )
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
            await_true(lambda: programs_with(home, ".up") == set(PRIORITIES), 30, "all programs")
            supervisord.send_signal(signal.SIGTERM)
            workers_and_edge = set(PRIORITIES) - {"redis"}
            await_true(
                lambda: programs_with(home, ".stopping") == workers_and_edge,
                30,
                "the programs that drain",
            )
            for name in ("worker-lookup", "worker-routing", "gateway"):
                assert programs_with(home, ".stopping") == workers_and_edge
                (home / f"{name}.may-end").touch()
            await_true(
                lambda: "redis" in programs_with(home, ".stopping"), 30, "the stop of the store"
            )
        finally:
            for name in PRIORITIES:
                (home / f"{name}.may-end").touch()
            supervisord.terminate()
            assert supervisord.wait(30) == 0


def programs_with(home: Path, suffix: str) -> set[str]:
    return {path.stem for path in home.glob(f"*{suffix}")}
