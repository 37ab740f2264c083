"""The process: ``python -m routingsim``.

Invariant: it prints its address only once it accepts calls, and it ends within a second of SIGTERM
whatever calls it holds: to its callers that is one more way in which a service may fail.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import Mapping

from aiohttp import web

from routingsim.app import create_app
from routingsim.behaviour import DEFAULT_LATENCY_MS, Behaviour
from routingsim.behaviour_document import RULES

DEFAULT_BIND = "127.0.0.1:8090"
# Connections that wait to be accepted. A smaller backlog refuses calls in a burst; the kernel caps
# it at net.core.somaxconn.
BACKLOG = 4096
# Open files where the system names no limit; one is needed for each held call.
FILE_LIMIT = 10_240
# aiohttp gives it to held calls twice: to finish, and to be cancelled. Longer delays the end of the
# process.
STOP_SECONDS = 0.1


class BadSetting(Exception):
    """A wrong value in the environment; ``str()`` is one line that names it."""


def read_bind(environ: Mapping[str, str]) -> tuple[str, int]:
    """Host and port from ``ROUTINGSIM_BIND``; port 0 lets the system choose one."""
    text = environ.get("ROUTINGSIM_BIND", DEFAULT_BIND)
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        wanted = f"host:port, such as {DEFAULT_BIND}"
        raise BadSetting(f"ROUTINGSIM_BIND must be {wanted}; it is {text!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def read_defaults(environ: Mapping[str, str]) -> Behaviour:
    """The default behaviour, with the latency of ``ROUTINGSIM_LATENCY_MS``."""
    text = environ.get("ROUTINGSIM_LATENCY_MS", str(DEFAULT_LATENCY_MS))
    rule = RULES["latency_ms"]
    if not (text.isascii() and text.isdigit() and len(text) < 10 and rule.accepts(int(text))):
        raise BadSetting(f"ROUTINGSIM_LATENCY_MS must be {rule.wanted}; it is {text!r}")
    return Behaviour(latency_ms=int(text))


async def serve(host: str, port: int, defaults: Behaviour) -> None:
    """Accept calls until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(
        create_app(defaults),
        access_log=None,
        handler_cancellation=True,  # a client that leaves ends its call
        shutdown_timeout=STOP_SECONDS,
    )
    await runner.setup()
    await web.TCPSite(runner, host, port, backlog=BACKLOG, reuse_address=True).start()
    bound_host, bound_port = runner.addresses[0][:2]
    print(f"routingsim listens on {bound_host}:{bound_port}, {defaults.latency_ms} ms", flush=True)
    await stop.wait()
    await runner.cleanup()


def _raise_file_limit() -> None:
    """Allow as many open files as the system permits: each held call is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS reports no limit and then refuses more than FILE_LIMIT.
    wanted = max(soft, FILE_LIMIT) if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main(environ: Mapping[str, str]) -> int:
    try:
        host, port = read_bind(environ)
        defaults = read_defaults(environ)
    except BadSetting as bad:
        print(f"routingsim: {bad}", file=sys.stderr)
        return 2
    _raise_file_limit()
    gc.freeze()  # what is loaded by now is never freed, so no collection needs to scan it
    try:
        asyncio.run(serve(host, port, defaults))
    except OSError as error:
        print(f"routingsim: cannot listen on {host}:{port}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
