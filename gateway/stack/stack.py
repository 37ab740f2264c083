"""Starts and stops a stack: supervisord, its programs, and the wait until all of it is ready.

Invariant: ``start`` returns only when events are accepted and every process runs; when it raises,
nothing that it started is left running. ``stop`` returns only when nothing runs any more.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from conf.settings import ROOT
from conf.sources.loader import load_sources
from gateway.stack import environment, home_directory, machine, orphans, readiness
from gateway.stack.readiness import StackError
from gateway.stack.supervisor import Supervisor

START_SECONDS = 60.0
STOP_GROUPS = 8  # supervisord stops the programs one after another

Ready = Callable[["Stack"], bool]


class Stack:
    """One gateway with everything around it, in a directory of its own.

    home: the project's root for `make up`, else any directory.
    environ: the environment to start from; settings in it reach every process.
    ready: what has to hold beside all processes running; by default `/readyz` is 200 and our own
    simulator, if it is part of the stack, answers.
    shared: the programs of conf/supervisor.d to run; None for all. Not in the project's root.
    tethered: it ends with this process, whatever becomes of that.
    own: the stores and simulators that it runs itself; by default those whose URL is not given.
    env: what a program needs to find this stack, such as `python -m gateway audit`.
    """

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str],
        *,
        ready: Ready | None = None,
        shared: Iterable[str] | None = None,
        tethered: bool = False,
        own: Iterable[str] | None = None,
    ) -> None:
        self.home = home
        self.supervisor = Supervisor(home)
        self.warnings: list[str] = []
        self._plan = environment.plan(environ, home, own)
        self._ready = ready or Stack._takes_events
        self._shared = shared
        self._tethered = tethered
        self._child: subprocess.Popen[bytes] | None = None
        self.own = self._plan.own
        self.env = self._plan.environ
        self.run_dir = Path(self.env["RUN_DIR"])
        self.gateway_url = _url(self.env["GATEWAY_BIND"])
        self.ops_url = _url(self.env["OPS_BIND"])
        self.redis_url = self.env["REDIS_URL"]
        self.mongo_url = self.env["MONGO_URL"]
        self.routing_url = self.env["ROUTING_URL"]

    @classmethod
    @contextlib.contextmanager
    def temporary(
        cls,
        env: Mapping[str, str] | None = None,
        *,
        ready: Ready | None = None,
        shared: Iterable[str] | None = None,
        own: Iterable[str] | None = None,
    ) -> Iterator[Stack]:
        """A started stack on free ports, whose data is gone afterwards.

        Settings come from ``env`` alone: those of this process's environment are left out.
        """
        gateway, ops, redis, mongo, sim = home_directory.free_ports(5)
        environ = environment.without_settings(environment.inherited()) | {
            "GATEWAY_BIND": f"127.0.0.1:{gateway}",
            "OPS_BIND": f"127.0.0.1:{ops}",
            "LOCAL_REDIS_PORT": str(redis),
            "LOCAL_MONGO_PORT": str(mongo),
            "ROUTINGSIM_BIND": f"127.0.0.1:{sim}",
            **(env or {}),
        }
        with home_directory.temporary_home() as home:
            stack = cls(home, environ, ready=ready, shared=shared, tethered=True, own=own)
            try:
                stack.start()
                yield stack
            finally:
                stack.stop()

    def _takes_events(self) -> bool:
        simulator = "routingsim" not in self._plan.own or readiness.answers(
            f"{self.routing_url}/healthz"
        )
        return simulator and readiness.answers(f"{self.gateway_url}/readyz")

    def is_up(self) -> bool:
        """Whether its supervisord answers."""
        return self.supervisor.pid() is not None

    def prepare(self) -> None:
        """Check the machine and lay out the directory; raises ``PreflightError``."""
        if self.is_up():
            raise StackError(f"a stack is already up in {self.home}")
        orphans.stop(self.home)  # of a supervisord that was killed
        self.warnings = machine.make_ready(
            self._plan, self.home, self.supervisor.socket, self._shared
        )

    def start(self, timeout: float = START_SECONDS) -> None:
        """Start everything and wait until it is ready."""
        self.prepare()
        try:
            if self._tethered:
                self._spawn()
            else:
                self._daemonise()
            readiness.wait(self.supervisor, lambda: self._ready(self), timeout)
        except BaseException:
            self.stop()
            raise

    def command(self, *options: str) -> list[str]:
        """Runs supervisord on this stack; in its environment, see ``marked_env``."""
        return [
            sys.executable,
            "-m",
            "supervisor.supervisord",
            "-c",
            str(self.home / "supervisord.conf"),
            *options,
        ]

    def marked_env(self) -> dict[str, str]:
        """``env`` with the mark by which the stack's own processes are known."""
        return {**self.env, environment.HOME_VARIABLE: str(self.home)}

    def _spawn(self) -> None:
        tether = [sys.executable, "-m", "gateway.stack.die_with_parent", str(os.getpid())]
        self._child = subprocess.Popen(
            [*tether, *self.command("--nodaemon", "--silent")],
            cwd=self.home,
            env=self.marked_env(),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )

    def _daemonise(self) -> None:
        run = subprocess.run(
            self.command(),
            cwd=self.home,
            env=self.marked_env(),
            text=True,
            capture_output=True,
            check=False,
        )
        if run.returncode:
            raise StackError(f"supervisord did not start: {(run.stderr or run.stdout).strip()}")

    def stop(self) -> bool:
        """Stop everything and wait until it is gone; False if nothing ran."""
        pid = self._child.pid if self._child else self.supervisor.pid()
        if pid is not None and orphans.alive(pid):
            os.kill(pid, signal.SIGTERM)
            self._wait_until_gone(pid)
        left = orphans.stop(self.home)
        return pid is not None or bool(left)

    def _wait_until_gone(self, pid: int) -> None:
        seconds = STOP_GROUPS * int(self.env["STOP_SECONDS"])
        deadline = time.monotonic() + seconds
        while orphans.alive(pid):
            if time.monotonic() > deadline:
                raise StackError(f"supervisord (pid {pid}) did not stop within {seconds} s")
            self.supervisor.processes()  # a question wakes it; else it looks once a second
            time.sleep(readiness.POLL_SECONDS)
        if self._child:
            self._child.wait()

    def reload(self) -> None:
        """Have every process serve by sources.toml as it is now, without a failed request.

        Raises ``SettingsError`` if it is wrong, and changes nothing then.
        """
        load_sources(self._plan.settings.sources_file, None, self._plan.settings.profile)
        # The edge last: an event whose source the workers do not know would be a dead letter, and
        # one whose tolerance the scheduler does not know might be forgotten too soon.
        for arguments in (
            ("restart", "scheduler"),
            ("restart", "worker-lookup:*"),
            ("restart", "worker-routing:*"),
            ("signal", "HUP", "gateway"),
        ):
            run = self.run_ctl(*arguments, capture=True)
            if run.returncode:
                raise StackError((run.stdout or run.stderr).strip())

    def ctl(self, *arguments: str) -> str:
        """What `supervisorctl` prints for these arguments, such as ``restart worker-routing:*``."""
        return self.run_ctl(*arguments, capture=True).stdout

    def run_ctl(self, *arguments: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
        """Run `supervisorctl` on this stack."""
        command = [
            sys.executable,
            "-m",
            "supervisor.supervisorctl",
            "-c",
            str(self.home / "supervisord.conf"),
            *arguments,
        ]
        return subprocess.run(
            command, cwd=self.home, env=self.env, text=True, capture_output=capture, check=False
        )


def to_be_started() -> Stack:
    """The stack of `make up`: in the project's root, with the settings of this environment."""
    return Stack(ROOT, environment.inherited())


def started_before() -> Stack:
    """The same stack as it was started, whatever the environment says now."""
    clean = environment.without_settings(environment.inherited())
    return Stack(ROOT, clean | home_directory.recall(ROOT))


def _url(bind: str) -> str:
    host, _, port = bind.rpartition(":")
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '[::]') else host}:{port}"
