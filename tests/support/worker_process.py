"""Real worker processes with injected faults: killed or suspended at a place that a test chooses.

They are forked from a process that has imported the product, so that a start costs milliseconds.
The product has no code for it: the child wraps the product's own classes before it runs ``main``.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.queue import Queue
from tests.support.servers import await_true
from workers import __main__ as product
from workers.jobs import Job, Jobs
from workers.ledger import Ledger
from workers.lookup_lane import LookupLane
from workers.routing_client import RoutingClient
from workers.routing_lane import RoutingLane
from workers.shipments import Shipments

_forked = multiprocessing.get_context("forkserver")
_forked.set_forkserver_preload(["tests.support.worker_process"])

CLASSES: dict[str, type] = {
    cls.__name__: cls for cls in (Ledger, LookupLane, Queue, RoutingClient, RoutingLane, Shipments)
}
Fault = Callable[[], None]  # called in the child before ``main``


def wrap(place: str, around: Callable[[Callable[[], Any], tuple[Any, ...]], Any]) -> None:
    """Replace every call of ``Class.method`` by ``around(call, arguments)``."""
    name, method = place.split(".")
    original = getattr(CLASSES[name], method)

    def call(*args: Any, **more: Any) -> Any:
        return around(lambda: original(*args, **more), args)

    setattr(CLASSES[name], method, call)


@dataclass(frozen=True)
class SuspendAt:
    """SIGSTOP for the whole process before or after its first call of ``place``."""

    place: str
    after: bool = False

    def __call__(self) -> None:
        first = threading.Lock()

        def around(call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            result = call() if self.after else None
            if first.acquire(blocking=False):
                # To this thread: otherwise it might continue until another has taken the signal.
                signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
            return result if self.after else call()

        wrap(self.place, around)


@dataclass(frozen=True)
class KilledByEvent:
    """SIGKILL when an event whose body holds ``marker`` is handled, once ``in_work`` events are in
    work. The others stop after ``place``, so that each is half done at the kill."""

    marker: bytes
    place: str
    in_work: int

    def __call__(self) -> None:
        poisoned: list[Jobs] = []  # the process's jobs, once an event with the marker is in work
        add = Jobs.add

        def add_and_note(self_: Jobs, job: Job) -> None:
            if self.marker in job.event.body:
                poisoned.append(self_)
            add(self_, job)

        def kill(call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            event = getattr(args[1], "event", args[1])
            if self.marker in event.body:
                until = time.monotonic() + 0.5
                while len(poisoned[0]) < self.in_work and time.monotonic() < until:
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGKILL)
            return call()

        def hold(call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            result = call()
            while poisoned:
                time.sleep(1)
            return result

        setattr(Jobs, "add", add_and_note)  # noqa: B010 (mypy rejects the assignment of a method)
        wrap("LookupLane.handle", kill)
        wrap("RoutingLane.handle", kill)
        wrap(self.place, hold)


class RealWorker:
    """``python -m workers <lane>`` under the process name ``name``."""

    def __init__(
        self,
        lane: str,
        name: str,
        settings: dict[str, str],
        folder: Path,
        fault: Fault | None = None,
    ) -> None:
        # SUPERVISOR_ENABLED makes it end with the process that it is forked from.
        environ = {
            **os.environ,
            "PROFILE": "local",
            "HOST_NAME": "host",
            "WORKER_NICE": "0",
            "RUN_DIR": str(folder / "run"),
            **settings,
            "SUPERVISOR_PROCESS_NAME": name,
            "SUPERVISOR_ENABLED": "1",
        }
        self.log = folder / f"{name}.log"
        self.process = _forked.Process(
            target=_main, args=(lane, environ, self.log, fault), daemon=True
        )

    def start(self) -> RealWorker:
        self.process.start()
        return self

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def await_suspended(self) -> None:
        """Return when SIGSTOP has taken effect."""

        def stopped() -> bool:
            shown = subprocess.run(
                ["ps", "-o", "stat=", "-p", str(self.pid)],
                text=True,
                capture_output=True,
                check=False,
            )
            return shown.stdout.startswith("T")

        await_true(stopped, 30, f"the worker to be suspended: {self.log}")

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def await_end(self, seconds: float = 30) -> int:
        """Returns the exit code; negative for a signal."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, self.log.read_text()[-2000:]
        return self.process.exitcode

    def end(self) -> int:
        self.signal(signal.SIGTERM)
        return self.await_end()

    def kill(self) -> None:
        if self.process.is_alive():
            self.signal(signal.SIGKILL)
            self.process.join()

    def logged(self, text: str) -> bool:
        return self.log.exists() and text in self.log.read_text()


def _main(lane: str, environ: dict[str, str], log: Path, fault: Fault | None) -> None:
    os.environ.clear()
    os.environ.update(environ)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if fault is not None:
        fault()
    os._exit(product.main([lane]))
