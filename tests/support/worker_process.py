"""Worker processes like the product's, spoilt from outside: each dies or stops where a test says.

They are forked from a process that has imported the product, so that a start costs milliseconds.
The product knows nothing of it: the child wraps the product's own classes before it runs ``main``.
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
Spoil = Callable[[], None]


def wrap(place: str, around: Callable[[Callable[[], Any], tuple[Any, ...]], Any]) -> None:
    """Let every call of ``Class.method`` go through ``around(call, arguments)``."""
    name, method = place.split(".")
    whole = getattr(CLASSES[name], method)

    def call(*args: Any, **more: Any) -> Any:
        return around(lambda: whole(*args, **more), args)

    setattr(CLASSES[name], method, call)


@dataclass(frozen=True)
class StopsAt:
    """SIGSTOP for the whole process at the first call of ``place``, before or after it."""

    place: str
    after: bool = False

    def __call__(self) -> None:
        first = threading.Lock()

        def around(call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            result = call() if self.after else None
            if first.acquire(blocking=False):
                # To this thread, so that it does not run on until another one has taken the signal.
                signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
            return result if self.after else call()

        wrap(self.place, around)


@dataclass(frozen=True)
class DiesOf:
    """SIGKILL by the event whose body holds ``marker``, once ``beside`` events are in work. Until
    then they get as far as ``place`` and no further: half done, each of them."""

    marker: bytes
    place: str
    beside: int

    def __call__(self) -> None:
        here: list[Jobs] = []  # of what is poison and in this process
        add = Jobs.add

        def noticing(self_: Jobs, job: Job) -> None:
            if self.marker in job.event.body:
                here.append(self_)
            add(self_, job)

        def act(call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            event = getattr(args[1], "event", args[1])
            if self.marker in event.body:
                until = time.monotonic() + 0.5
                while len(here[0]) < self.beside and time.monotonic() < until:
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGKILL)
            return call()

        def linger(call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            result = call()
            while here:
                time.sleep(1)
            return result

        setattr(Jobs, "add", noticing)  # noqa: B010 (to mypy a method is not to be assigned)
        wrap("LookupLane.handle", act)
        wrap("RoutingLane.handle", act)
        wrap(self.place, linger)


class RealWorker:
    """``python -m workers <lane>`` in a process of its own, under ``name``."""

    def __init__(
        self,
        lane: str,
        name: str,
        settings: dict[str, str],
        folder: Path,
        spoil: Spoil | None = None,
    ) -> None:
        # SUPERVISOR_ENABLED, so that it ends when the process it is forked from does.
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
            target=_main, args=(lane, environ, self.log, spoil), daemon=True
        )

    def start(self) -> RealWorker:
        self.process.start()
        return self

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def await_stopped(self) -> None:
        """Until SIGSTOP has taken effect."""

        def stopped() -> bool:
            shown = subprocess.run(
                ["ps", "-o", "stat=", "-p", str(self.pid)],
                text=True,
                capture_output=True,
                check=False,
            )
            return shown.stdout.startswith("T")

        await_true(stopped, 30, f"the worker to stop: {self.log}")

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def await_end(self, seconds: float = 30) -> int:
        """Its exit code; negative for a signal."""
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

    def says(self, text: str) -> bool:
        return self.log.exists() and text in self.log.read_text()


def _main(lane: str, environ: dict[str, str], log: Path, spoil: Spoil | None) -> None:
    os.environ.clear()
    os.environ.update(environ)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if spoil is not None:
        spoil()
    os._exit(product.main([lane]))
