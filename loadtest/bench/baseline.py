"""The baselines of ``ingest``: how many requests bare server processes answer that do no work.

The pinned one is meinheld as it is published, with greenlets: what one gets who installs it. It
stays the same when the edge's own build of meinheld becomes faster, as by omitting greenlets.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from conf import install
from conf.settings import ROOT
from gateway.stack.home_directory import free_ports
from loadtest.harness.machine import has_meinheld
from loadtest.harness.progress import say
from loadtest.harness.wait import RunFailed, ToolMissing, wait_until

PROCESSES = 2
STOP_SECONDS = 20


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


@contextlib.contextmanager
def serving(*, published: bool = False) -> Iterator[str]:
    """gunicorn with the application above; yields its URL, and stops it afterwards.

    published: with meinheld as its authors build it. Raises ``ToolMissing`` where there is no
    meinheld: another server would be another baseline.
    """
    if not has_meinheld():
        raise ToolMissing(
            "no baseline without meinheld: Python 3.11 or 3.12 and a C compiler, then "
            "python conf/install.py"
        )
    port = free_ports(1)[0]
    supervised = [sys.executable, "-m", "gateway.stack.die_with_parent", str(os.getpid())]
    gunicorn = [
        sys.executable,
        "-m",
        "gunicorn",
        "-k",
        "meinheld.gmeinheld.MeinheldWorker",
        "-w",
        str(PROCESSES),
        "-b",
        f"127.0.0.1:{port}",
        "--log-level",
        "error",
        "--graceful-timeout",
        "1",
        "--no-control-socket",
        "loadtest.bench.baseline:application",
    ]
    environ = {**os.environ, "PYTHONPATH": str(_as_published())} if published else None
    server = subprocess.Popen(
        [*supervised, *gunicorn], cwd=ROOT, stdin=subprocess.DEVNULL, env=environ
    )
    try:
        wait_until(lambda: server.poll() is not None or _serves(port), 15, "the baseline to serve")
        if server.poll() is not None:
            raise RunFailed("the baseline did not start")
        yield f"http://127.0.0.1:{port}/v1/events/bench"
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _as_published() -> Path:
    """The folder with that build, made at the first call. Raises ``RunFailed``."""
    folder = Path(sys.prefix) / "meinheld-as-published"
    if not (folder / "meinheld").is_dir():
        say("building meinheld as it is published")
        (meinheld,) = (one for one in install.OPTIONAL if one.packages == ("meinheld",))
        output = install.pip(
            install.parse((ROOT / install.LOCKS[0]).read_text())["meinheld"],
            *(*install.LOCKED_BUILD, "--no-cache-dir", "--target", str(folder)),
            environ={"CFLAGS": meinheld.environ["CFLAGS"]},
        )
        if output:
            raise RunFailed(f"the baseline was not built: {install.why_not(output)}")
    return folder


def _serves(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
