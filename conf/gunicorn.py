"""gunicorn's configuration: ``gunicorn -c conf/gunicorn.py`` starts the edge.

gunicorn executes this file in its master process, before anything is forked. Wrong settings or
sources end it here with a line each, not with a traceback from every worker.
"""

from __future__ import annotations

import ctypes
import logging
import math
import os
import signal
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the gunicorn command does not look where it was started

from conf.lifecycle import begin, process_name  # noqa: E402
from conf.settings import SettingsError  # noqa: E402
from conf.sources import load_sources  # noqa: E402

PR_SET_PDEATHSIG = 1
MEINHELD = "gateway.meinheld_worker.DrainingMeinheldWorker"
STOP_SECONDS = 4
THREADS = 32  # gthread only: waiting for Redis costs a thread little; more only queue for the GIL


def _checked_sources(path: Path, profile: str) -> None:
    log = logging.getLogger("gateway")
    try:
        sources = load_sources(path, os.environ, profile)
    except SettingsError as error:
        for problem in error.problems:
            print(f"gateway: {problem}", file=sys.stderr)
        raise SystemExit(78) from None  # EX_CONFIG
    for line in sources.warnings:
        log.warning("%s", line)
    for line in sources.notices:
        log.info("%s", line)


def _worker_class() -> str:
    """meinheld answers twice as many requests; where it was not built, threads serve instead."""
    log = logging.getLogger("gateway")
    try:
        import meinheld.gmeinheld  # noqa: F401
    except Exception as error:  # no module, or one that this Python cannot load
        log.warning("serving with gthread, %d threads a process (no meinheld: %s)", THREADS, error)
        return "gateway.thread_worker.PatientThreadWorker"
    log.info("serving with meinheld")
    return MEINHELD


def _follow_parent(number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent is gone, however it went."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


_settings = begin(process_name("gateway"))
_checked_sources(_settings.sources_file, _settings.profile)

if os.environ.get("SUPERVISOR_ENABLED"):
    _follow_parent(signal.SIGTERM)

wsgi_app = "gateway.wsgi:application()"
chdir = str(ROOT)
proc_name = "fincart-gateway"
bind = [_settings.gateway_bind]
workers = _settings.web_concurrency
worker_class = _worker_class()
threads = 1 if worker_class == MEINHELD else THREADS
# Each worker opens its own connection to Redis, so nothing is loaded before the fork.
preload_app = False

# Bursts wait here while all processes are busy; the kernel caps it at net.core.somaxconn.
backlog = 4096
worker_connections = 2048
# Couriers that post in a row save the handshake. Longer keeps idle connections in memory; shorter
# meets more requests that were sent in the very moment an idle connection is closed.
keepalive = 75
# A worker that does not tick for so long is replaced. No request takes longer than
# REDIS_TIMEOUT_SECONDS and a little.
timeout = 15
# Then what still runs is killed. A worker sees within a second that it should stop, and drains.
graceful_timeout = math.ceil(_settings.drain_seconds) + STOP_SECONDS
# The heartbeat file must be in memory: on a busy disk touching it could stall a worker.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None

# No access log: at thousands of requests a second it would be the slowest part. Refusals and
# faults are logged by the application, and counts are in Redis.
accesslog = None
errorlog = "-"
loglevel = _settings.log_level.lower()

# Nothing forwarded is trusted: the edge decides by signature, never by address or scheme.
forwarded_allow_ips = ""
control_socket_disable = True  # supervisord controls it; a second way in is one to guard


def on_starting(server: Any) -> None:
    """One format for all lines, gunicorn's own among them."""
    lines = server.log.error_log
    lines.handlers.clear()
    lines.propagate = True
    # What a stalled client raises (gateway/thread_worker.py) would fill the log with traces.
    lines.addFilter(lambda line: not (line.exc_info and line.exc_info[0] is BlockingIOError))


def post_fork(server: Any, worker: Any) -> None:
    """A worker that outlived its killed master would keep the port from the next one.

    SIGKILL, for a meinheld worker takes up to 8 s to stop on SIGTERM. What it was doing is not
    acknowledged yet, and comes again.
    """
    _follow_parent(signal.SIGKILL)
    if os.getppid() != server.pid:  # gone before we asked
        os._exit(0)
