"""The pinned baseline of ``ingest``: what the same server process answers when nothing is done."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from conf.settings import ROOT
from gateway.local.instance import free_ports
from loadtest.bench.errors import BenchError, Missing, wait_until
from loadtest.bench.machine import has_meinheld

PROCESSES = 2
STOP_SECONDS = 20


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """gunicorn with the application above; yields its URL, and it is gone afterwards.

    Raises ``Missing`` where meinheld is: another server would be another baseline.
    """
    if not has_meinheld():
        raise Missing("no baseline without meinheld: Python 3.11 or 3.12 and a C compiler, then "
                      "python conf/install.py")
    port = free_ports(1)[0]
    tether = [sys.executable, "-m", "gateway.local.tether", str(os.getpid())]
    gunicorn = [sys.executable, "-m", "gunicorn", "-k", "meinheld.gmeinheld.MeinheldWorker",
                "-w", str(PROCESSES), "-b", f"127.0.0.1:{port}", "--log-level", "error",
                "--graceful-timeout", "1", "--no-control-socket",
                "loadtest.bench.baseline:application"]
    server = subprocess.Popen([*tether, *gunicorn], cwd=ROOT, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: server.poll() is not None or _serves(port), 15, "the baseline to serve")
        if server.poll() is not None:
            raise BenchError("the baseline did not start")
        yield f"http://127.0.0.1:{port}/v1/events/bench"
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _serves(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
