"""gunicorn's configuration: ``gunicorn -c gateway/server/gunicorn_conf.py`` starts the edge.

gunicorn executes this file in its master process, before anything is forked, and again on SIGHUP.
Wrong settings or sources end the start here with a line each, not with a traceback from every
worker; wrong sources on SIGHUP change nothing.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import logging
import math
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the gunicorn command does not look where it was started

from gateway.server import live_configuration  # noqa: E402

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 4  # beyond the drain: seeing that it is time to stop, and ending
# Each open connection is an open file. More survives more idle ones; each costs a process 40 bytes.
OPEN_FILES = 16_384
# A body up to so much over the limit is told in a problem's words. Beyond, meinheld refuses it by
# its length alone, before it keeps a byte of it.
READ_BEYOND_BYTES = 65_536
THREADED = "gateway.server.thread_worker.PatientThreadWorker"
MEINHELD = "gateway.server.meinheld_worker.MeinheldWorker"
THREADS = 32  # gthread only: waiting for Redis costs a thread little; more only queue for the GIL


def _listens(fd: int) -> bool:
    """Whether supervisord has handed over its listening socket (gateway/stack)."""
    try:
        with socket.socket(fileno=os.dup(fd)) as inherited:
            return bool(inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # no socket
        return False


def _worker_class() -> str:
    """meinheld takes three times the events; where it was not built, threads serve instead."""
    log = logging.getLogger("gateway")
    if _settings.gateway_server == "gthread":
        log.info("serving with gthread, %d threads a process, as GATEWAY_SERVER says", THREADS)
        return THREADED
    try:
        import meinheld.server
    except Exception as error:  # no module, or one that this Python cannot load
        log.warning("serving with gthread, %d threads a process (no meinheld: %s)", THREADS, error)
        return THREADED
    log.info("serving with meinheld")
    largest = _settings.max_body_bytes + READ_BEYOND_BYTES
    meinheld.server.set_max_content_length(largest)
    meinheld.server.set_client_body_buffer_size(largest)  # never into a file
    return MEINHELD


def _open_files() -> int:
    """Allow so many open files, and no more: meinheld takes connections beyond the number that it
    was told of, and never answers them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):  # macOS refuses more than its kernel's own limit
        wanted = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return wanted


def _follow_parent(number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent is gone, however it went."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


_settings = live_configuration.load().settings

if os.environ.get("SUPERVISOR_ENABLED"):
    _follow_parent(signal.SIGTERM)

wsgi_app = "gateway.server.wsgi:application()"
chdir = str(ROOT)
proc_name = "fincart-gateway"
bind = ["fd://0" if _listens(0) else _settings.gateway_bind]
workers = _settings.web_concurrency
worker_class = _worker_class()
threads = 1 if worker_class == MEINHELD else THREADS
# Each worker makes its application, and opens its own connection to Redis, after the fork. What it
# serves by (gateway/server/live_configuration.py) and the code (on_starting) it inherits.
preload_app = False

# Bursts wait here while all processes are busy; the kernel caps it at net.core.somaxconn.
backlog = 4096
worker_connections = _open_files()
# Couriers that post in a row save the handshake. Longer keeps idle connections in memory; shorter
# meets more requests that were sent in the very moment an idle connection is closed.
keepalive = 75
# A worker that does not tick for so long is replaced. No request takes longer than
# REDIS_TIMEOUT_SECONDS and a little.
timeout = 15
# What still runs then is killed.
graceful_timeout = math.ceil(_settings.drain_seconds) + STOP_SECONDS
# The heartbeat file must be in memory: on a busy disk touching it could stall a worker.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None

# No access log: at thousands of requests a second it would be the slowest part. RejectionLog and
# faults are logged by the application, and counts are in Redis.
accesslog = None
errorlog = "-"
loglevel = _settings.log_level.lower()

# Nothing forwarded is trusted: the edge decides by signature, never by address or scheme.
forwarded_allow_ips = ""
control_socket_disable = True  # supervisord controls it; a second way in is one to guard


def on_starting(server: Any) -> None:
    """Before a fork: one format for all lines, gunicorn's own among them, and the code loaded."""
    lines = server.log.error_log
    lines.handlers.clear()
    lines.filters.clear()
    lines.propagate = True
    # What a stalled client raises (gateway/server/thread_worker.py) would fill the log with traces.
    lines.addFilter(lambda line: not (line.exc_info and line.exc_info[0] is BlockingIOError))
    # A worker that need not read the code itself is there 0.1 s of CPU sooner, and shares it.
    importlib.import_module(wsgi_app.partition(":")[0])
    gc.collect()
    gc.freeze()  # or each worker's first collection would copy all of it


on_reload = on_starting  # which has set up its log anew


def when_ready(server: Any) -> None:
    """gunicorn has moved a socket that it got as fd 0. On SIGHUP this file looks there again."""
    if bind == ["fd://0"]:
        os.dup2(server.LISTENERS[0].fileno(), 0, inheritable=False)


def post_fork(server: Any, worker: Any) -> None:
    """A worker that outlived its killed master would serve beside the next one's, unseen.

    SIGKILL, for a drain takes seconds in which its port may be wanted. What it was doing is not
    acknowledged yet, and comes again.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the master's handler would swallow it here
    _follow_parent(signal.SIGKILL)
    if os.getppid() != server.pid:  # gone before we asked
        os._exit(0)
