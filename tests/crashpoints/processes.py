"""Runs each of the product's processes in a child, from start to end: the real composition roots
with real settings.

A child is forked from a template that has imported everything and has no threads and no
connections, so that it costs milliseconds. It ends when it has nothing left to do: a worker or
scheduler is stopped when it starts to wait for work.
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
from gateway.cli.parser import parser
from gateway.server.wsgi import application
from scheduler.promoter import Promoter
from scheduler.queue import Queue
from scheduler.wake_up_listener import WakeUpListener
from tests.crashpoints.crash_point import CrashInjector, CrashPoint
from workers.__main__ import compose
from workers.identity import take_name

# Before an idle process stops. The command that waits in Redis is a message like any other.
IDLE_SECONDS = 0.01


@dataclass(frozen=True)
class ProcessSpec:
    """role: a lane, "scheduler", "edge" or "operator". arguments: of an operator's command. host:
    part of the name under which a worker owns its locks."""

    role: str
    arguments: tuple[str, ...] = ()
    host: str = "host"

    def __str__(self) -> str:
        return " ".join((self.role, *self.arguments))


def run_process(
    spec: ProcessSpec,
    environ: dict[str, str],
    log: Path,
    crash_point: CrashPoint | None,
    journal: Connection,
    courier: socket.socket | None = None,
) -> None:
    """The main function of a child. Exit code: 0, or 1 after an error. courier: the edge's end of
    its connection to the courier."""
    os.environ.clear()
    os.environ.update(environ, HOST_NAME=spec.host)
    with log.open("ab", buffering=0) as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    injector = CrashInjector(crash_point, journal)
    injector.begin()
    try:
        if courier is not None:
            _edge(courier)
        elif spec.role == "scheduler":
            _scheduler()
        elif spec.role == "operator":
            _operator(list(spec.arguments))
        else:
            _worker(spec.role)
        injector.end()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)  # as workers do, so that no thread keeps the process from ending


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
        return wait(self, *args[:-1], IDLE_SECONDS)

    kind.wait = wait_briefly


def _operator(arguments: list[str]) -> None:
    parsed = parser().parse_args(arguments)
    parsed.environ = dict(os.environ)
    parsed.command(load(), parsed)  # whatever it returns: 1 means that it was done before


class _Server(WSGIServer):
    def server_bind(self) -> None:
        self.server_name, self.server_port = "edge", 0
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def _edge(courier: socket.socket) -> None:
    """One request to the real WSGI application, behind a server in Python: meinheld's sockets are
    in C and cannot be wrapped."""
    server = _Server(("edge", 0), _Handler, bind_and_activate=False)
    server.server_bind()
    server.set_app(application())
    _Handler(courier, ("courier", 0), server)
