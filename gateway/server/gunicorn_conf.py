"""gunicorn's configuration: ``gunicorn -c gateway/server/gunicorn_conf.py`` starts the edge.

gunicorn executes this file in its master process before it forks workers, and again on SIGHUP.
Wrong settings or sources stop the start here with one line each, instead of a traceback from every
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
sys.path.insert(0, str(ROOT))  # the gunicorn command does not add it by itself

from gateway.server import live_configuration  # noqa: E402

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 4  # beyond the drain: for a worker to notice the signal, and to exit
# Each connection is an open file. Higher: a process can hold more connections; each costs 40 bytes.
OPEN_FILES_MAX = 16_384
# A body at most this much over the limit gets the edge's own 413 problem. meinheld itself rejects a
# longer one by its Content-Length, before it stores any of it.
EXCESS_BODY_BYTES = 65_536
THREADED = "gateway.server.thread_worker.PatientThreadWorker"
MEINHELD = "gateway.server.meinheld_worker.MeinheldWorker"
# Of a gthread process. More threads would wait for the GIL instead of waiting for Redis.
THREADS = 32


def _listens(fd: int) -> bool:
    """Whether supervisord passed its listening socket as this file descriptor (gateway/stack)."""
    try:
        with socket.socket(fileno=os.dup(fd)) as inherited:
            return bool(inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # not a socket
        return False


def _worker_class() -> str:
    """meinheld, which serves three times the events; gthread where meinheld is not installed."""
    log = logging.getLogger("gateway")
    if _settings.gateway_server == "gthread":
        log.info("serving with gthread, %d threads per process (GATEWAY_SERVER)", THREADS)
        return THREADED
    try:
        import meinheld.server
    except Exception as error:  # no module, or one that this Python cannot load
        log.warning(
            "serving with gthread, %d threads per process (meinheld is not available: %s)",
            THREADS,
            error,
        )
        return THREADED
    log.info("serving with meinheld")
    largest_bytes = _settings.max_body_bytes + EXCESS_BODY_BYTES
    meinheld.server.set_max_content_length(largest_bytes)
    meinheld.server.set_client_body_buffer_size(largest_bytes)  # in memory, not in files
    return MEINHELD


def _open_files() -> int:
    """Set the limit of open files and return it. meinheld accepts more connections than it is
    configured for and never answers the surplus, so the kernel's limit must be the same number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(OPEN_FILES_MAX, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):  # on macOS the kernel has a lower limit of its own
        wanted = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return wanted


def _signal_when_parent_dies(number: signal.Signals) -> None:
    """Let the kernel send this process a signal when its parent process ends for any reason."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


_settings = live_configuration.load().settings

if os.environ.get("SUPERVISOR_ENABLED"):
    _signal_when_parent_dies(signal.SIGTERM)

wsgi_app = "gateway.server.wsgi:application()"
chdir = str(ROOT)
proc_name = "fincart-gateway"
bind = ["fd://0" if _listens(0) else _settings.gateway_bind]
workers = _settings.web_concurrency
worker_class = _worker_class()
threads = 1 if worker_class == MEINHELD else THREADS
# Each worker builds its application and opens its own connection to Redis after the fork. It
# inherits the live configuration and, by on_starting, the imported code.
preload_app = False

# Connections that wait while all processes are busy; the kernel caps it at net.core.somaxconn.
backlog = 4096
worker_connections = _open_files()
# Seconds. Longer: more idle connections in memory. Shorter: couriers reconnect more often, and more
# requests arrive at the moment in which their idle connection is closed.
keepalive = 75
# Seconds without a heartbeat after which gunicorn replaces a worker. Must exceed the longest
# request, which takes little more than REDIS_TIMEOUT_SECONDS.
timeout = 15
# Seconds after which gunicorn kills a worker that is asked to stop.
graceful_timeout = math.ceil(_settings.drain_seconds) + STOP_SECONDS
# The heartbeat file must be in memory: on a busy disk an update of it could stall a worker.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None

# No access log: at thousands of requests a second it would be the slowest part. The application
# logs rejections and faults itself, and Redis holds the counters.
accesslog = None
errorlog = "-"
loglevel = _settings.log_level.lower()

# No forwarded header is trusted: the edge decides by signature, never by address or URL scheme.
forwarded_allow_ips = ""
# supervisord controls the edge; another control channel would have to be secured.
control_socket_disable = True


def on_starting(server: Any) -> None:
    """Before the first fork: give gunicorn's log lines the common format, and import the code."""
    lines = server.log.error_log
    lines.handlers.clear()
    lines.filters.clear()
    lines.propagate = True
    # A stalled client raises it (gateway/server/thread_worker.py); tracebacks would fill the log.
    lines.addFilter(lambda line: not (line.exc_info and line.exc_info[0] is BlockingIOError))
    # Imported in the master, so that each worker starts 0.1 s of CPU sooner and shares the memory.
    importlib.import_module(wsgi_app.partition(":")[0])
    gc.collect()
    gc.freeze()  # else each worker's first garbage collection would copy the shared pages


on_reload = on_starting  # a reload resets gunicorn's log


def when_ready(server: Any) -> None:
    """Put the inherited socket back on fd 0, where ``_listens`` looks for it on SIGHUP; gunicorn
    has moved it."""
    if bind == ["fd://0"]:
        os.dup2(server.LISTENERS[0].fileno(), 0, inheritable=False)


def post_fork(server: Any, worker: Any) -> None:
    """End each worker together with its master.

    A worker that survives a killed master would keep serving next to the new master's workers.
    SIGKILL, because a drain takes seconds during which the new master needs the port. The event in
    work is not acknowledged yet, so its courier sends it again.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # drop the handler inherited from the master
    _signal_when_parent_dies(signal.SIGKILL)
    if os.getppid() != server.pid:  # it ended before the call above
        os._exit(0)
