"""The lives of the product's processes, each in a child made for it: the real composition roots,
with real settings, from their start to their end.

A child is forked from a template that has all of this imported and holds no thread and no
connection, so that it costs milliseconds. It ends when it has nothing left to do: a worker or
scheduler is asked to stop when it goes to sleep for lack of work.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from conf.lifecycle import Stop, sources_without_secrets
from conf.settings import load
from gateway.__main__ import parser
from gateway.server.wsgi import application
from scheduler.promoter import Promoter
from scheduler.queue import Queue
from scheduler.wake_up_listener import WakeUpListener
from tests.crashpoints.crash_point import Death, Mortal
from workers.__main__ import compose
from workers.identity import take_name

SLEEP_SECONDS = 0.01  # before an idle process stops; its sleep is a step as well


@dataclass(frozen=True)
class Life:
    """role: a lane, "scheduler", "edge" or "operator"; arguments: what an operator types; host:
    where it runs, so under which name a worker owns its locks."""

    role: str
    arguments: tuple[str, ...] = ()
    host: str = "host"

    def __str__(self) -> str:
        return " ".join((self.role, *self.arguments))


def live(
    life: Life,
    environ: dict[str, str],
    log: Path,
    death: Death | None,
    journal: Connection,
    courier: socket.socket | None = None,
) -> None:
    """The whole life of a child. It ends with exit code 0 when it was not killed and all went
    well. courier: the edge's connection to the courier."""
    os.environ.clear()
    os.environ.update(environ, HOST_NAME=life.host)
    with log.open("ab", buffering=0) as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    mortal = Mortal(death, journal)
    mortal.begin()
    try:
        if courier is not None:
            _edge(courier)
        elif life.role == "scheduler":
            _scheduler()
        elif life.role == "operator":
            _operator(list(life.arguments))
        else:
            _worker(life.role)
        mortal.end()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)  # as workers do: no thread of theirs keeps the process from its end


def _worker(lane: str) -> None:
    settings, stop = load(), Stop()
    _stop_when_idle(Queue, stop)
    identity = take_name(settings.host_name, f"worker-{lane}_00", settings.run_dir, stop)
    assert identity is not None
    sources = sources_without_secrets("worker", settings)
    compose(settings, sources, lane, 1, identity, stop).run()


def _scheduler() -> None:
    settings, stop = load(), Stop()
    _stop_when_idle(WakeUpListener, stop)
    sources = sources_without_secrets("scheduler", settings)
    Promoter(settings, sources.remember_at_least_seconds, stop).run()


def _stop_when_idle(kind: Any, stop: Stop) -> None:
    wait: Callable[..., bool] = kind.wait

    def wait_briefly(self: Any, *args: Any) -> bool:
        stop.set("idle")
        return wait(self, *args[:-1], SLEEP_SECONDS)

    kind.wait = wait_briefly


def _operator(arguments: list[str]) -> None:
    parsed = parser().parse_args(arguments)
    parsed.environ = dict(os.environ)
    parsed.command(load(), parsed)  # its exit code is the operator's affair: 1 for "did so before"


class _Server(WSGIServer):
    def server_bind(self) -> None:
        self.server_name, self.server_port = "edge", 0
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def _edge(courier: socket.socket) -> None:
    """The real WSGI application behind a plain server in Python, whose sockets can be wrapped
    (meinheld's are in C): one request, as any edge process serves one at a time."""
    server = _Server(("edge", 0), _Handler, bind_and_activate=False)
    server.server_bind()
    server.set_app(application())
    _Handler(courier, ("courier", 0), server)
