"""Starts and stops a stack: supervisord and all its programs.

Invariant: ``start`` returns only once every process runs and the edge accepts events; if it raises,
none of the processes it started is left. ``stop`` returns only once all processes have exited.
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
STOP_GROUPS = 8  # programs, each with STOP_SECONDS: supervisord stops one after another

Ready = Callable[["Stack"], bool]


class Stack:
    """The gateway, its stores and the routing simulator, in one home directory.

    home: the project's root for `make up`, else any directory.
    environ: the environment to start from; its settings reach every process.
    ready: the condition to wait for once all processes run; by default `/readyz` is 200 and the
    simulator, if the stack runs it, answers.
    shared: the programs of conf/supervisor.d to run; None for all. Ignored in the project's root.
    dies_with_parent: supervisord gets SIGTERM when this process dies, even by SIGKILL (Linux only).
    own: the programs of conf/supervisor.d/local to run; None for those whose URL is not given.
    env: the environment with which a command such as `python -m gateway audit` uses this stack.
    """

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str],
        *,
        ready: Ready | None = None,
        shared: Iterable[str] | None = None,
        dies_with_parent: bool = False,
        own: Iterable[str] | None = None,
    ) -> None:
        self.home = home
        self.supervisor = Supervisor(home)
        self.warnings: list[str] = []
        self._plan = environment.plan(environ, home, own)
        self._ready = ready or Stack._accepts_events
        self._shared = shared
        self._dies_with_parent = dies_with_parent
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
        """A started stack on free ports, stopped and deleted afterwards.

        Settings come from ``env`` alone, not from this process's environment.
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
            stack = cls(home, environ, ready=ready, shared=shared, dies_with_parent=True, own=own)
            try:
                stack.start()
                yield stack
            finally:
                stack.stop()

    def _accepts_events(self) -> bool:
        simulator = "routingsim" not in self._plan.own or readiness.answers(
            f"{self.routing_url}/healthz"
        )
        return simulator and readiness.answers(f"{self.gateway_url}/readyz")

    def is_up(self) -> bool:
        """Whether its supervisord answers."""
        return self.supervisor.pid() is not None

    def prepare(self) -> None:
        """Check the machine and prepare the directory; raises ``PreflightError``."""
        if self.is_up():
            raise StackError(f"a stack is already up in {self.home}")
        orphans.stop(self.home)  # if its last supervisord was killed
        self.warnings = machine.make_ready(
            self._plan, self.home, self.supervisor.socket, self._shared
        )

    def start(self, timeout_seconds: float = START_SECONDS) -> None:
        """Start everything and wait until it is ready.

        Raises ``StackError`` or ``PreflightError``.
        """
        self.prepare()
        try:
            if self._dies_with_parent:
                self._spawn()
            else:
                self._daemonise()
            readiness.wait(self.supervisor, lambda: self._ready(self), timeout_seconds)
        except BaseException:
            self.stop()
            raise

    def command(self, *options: str) -> list[str]:
        """The command that runs this stack's supervisord; its environment is ``marked_env``."""
        return [
            sys.executable,
            "-m",
            "supervisor.supervisord",
            "-c",
            str(self.home / "supervisord.conf"),
            *options,
        ]

    def marked_env(self) -> dict[str, str]:
        """``env`` with STACK_HOME, which identifies this stack's processes (orphans.py)."""
        return {**self.env, environment.HOME_VARIABLE: str(self.home)}

    def _spawn(self) -> None:
        self._reap()  # a supervisord that was killed, if this is not the first start
        launcher = [sys.executable, "-m", "gateway.stack.die_with_parent", str(os.getpid())]
        self._child = subprocess.Popen(
            [*launcher, *self.command("--nodaemon", "--silent")],
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
        """Stop everything and wait until it has exited; returns False if nothing ran."""
        pid = self._child.pid if self._child else self.supervisor.pid()
        if pid is not None and orphans.alive(pid):
            os.kill(pid, signal.SIGTERM)
            self._wait_for_exit(pid)
        left = orphans.stop(self.home)
        self._reap()
        return pid is not None or bool(left)

    def _reap(self) -> None:
        if self._child:
            self._child.wait()

    def _wait_for_exit(self, pid: int) -> None:
        seconds = STOP_GROUPS * int(self.env["STOP_SECONDS"])
        deadline = time.monotonic() + seconds
        while orphans.alive(pid):
            if time.monotonic() > deadline:
                raise StackError(f"supervisord (pid {pid}) did not stop within {seconds} s")
            self.supervisor.processes()  # wakes its loop, which otherwise checks once a second
            time.sleep(readiness.POLL_SECONDS)

    def reload(self) -> None:
        """Apply the current sources.toml to every process, without failing a request.

        Raises ``SettingsError`` and changes nothing if the file is wrong.
        """
        load_sources(self._plan.settings.sources_file, None, self._plan.settings.profile)
        # The edge comes last. Workers dead-letter an event whose source they do not know, and the
        # scheduler deletes tombstones too early for a source whose tolerance it does not know.
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
        """The output of `supervisorctl`, for arguments such as ``restart worker-routing:*``."""
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
    """The stack that `make up` starts: in the project's root, with this environment's settings."""
    return Stack(ROOT, environment.inherited())


def started_before() -> Stack:
    """The stack of the project's root with the environment it was started with."""
    clean = environment.without_settings(environment.inherited())
    return Stack(ROOT, clean | home_directory.recall(ROOT))


def _url(bind: str) -> str:
    host, _, port = bind.rpartition(":")
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '[::]') else host}:{port}"
