"""Checks before a stack starts: each problem is one line with its remedy.

Invariant: a check starts no server, and changes only the soft limit of open files.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SOCKET_PATH_MAX = 100  # the kernel's limit is 107 (103 on macOS) and supervisord adds a suffix
VERSION_FILE = "server-version"
FEW_FILES = 4096  # with fewer, thousands of waiting connections and calls are refused


class PreflightError(Exception):
    """The stack cannot start here; ``str()`` has one line for each problem."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True)
class Listener:
    """An address that a program will listen on, and the setting that changes it."""

    program: str
    host: str
    port: int
    setting: str


def require(problems: Iterable[str]) -> None:
    """Raise one ``PreflightError`` for all problems, so that they can be solved together."""
    found = [problem for problem in problems if problem]
    if found:
        raise PreflightError(found)


def port_problem(listener: Listener) -> str:
    """Why the address cannot be listened on; empty if it can."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    host = listener.host.strip("[]")
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, listener.port))
            probe.listen(1)  # Linux lets two sockets bind a wildcard; only one may listen
        except OSError as error:
            where = f"port {listener.port} ({listener.program})"
            if error.errno == errno.EADDRINUSE:
                return f"{where} is taken: stop what listens there, or set {listener.setting}"
            why = error.strerror or error
            return f"{where} on {listener.host} cannot be used ({why}): set {listener.setting}"
    return ""


def socket_path_problem(path: Path, remedy: str) -> str:
    """Why a unix socket cannot have that path; empty if it can."""
    length = len(os.fsencode(path))
    if length <= SOCKET_PATH_MAX:
        return ""
    return f"{path} has {length} bytes, a unix socket's path at most {SOCKET_PATH_MAX}: {remedy}"


def raise_open_files() -> str:
    """Raise the soft limit of open files to the hard limit; returns a warning if that is low."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, 65536, 10240):  # macOS refuses its own "unlimited"
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (ValueError, OSError):
            continue
        break
    return open_files_warning(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def open_files_warning(limit: int) -> str:
    """A warning if that many open files are too few, else empty."""
    if limit == resource.RLIM_INFINITY or limit >= FEW_FILES:
        return ""
    return (
        f"only {limit} open files are allowed, at least {FEW_FILES} are needed under load: "
        f"raise the hard limit (ulimit -Hn, /etc/security/limits.conf)"
    )


def data_problem(directory: Path, version: tuple[int, int]) -> str:
    """Why a Redis of ``version`` must not open this data directory; empty if it may.

    Redis 7.0 changed the layout of the append-only file: an older server ignores the newer files,
    starts empty and reports nothing. ``record_version`` is what makes this detectable.
    """
    record = directory / VERSION_FILE
    written = record.read_text().strip() if record.is_file() else ""
    if written and version < tuple(int(part) for part in written.split(".")):
        return (
            f"{directory} was written by Redis {written}, and {version[0]}.{version[1]} would "
            f"start without its events: put the newer redis-server on the PATH"
        )
    if not written and version < (7, 0) and (directory / "appendonlydir").is_dir():
        return (
            f"{directory} was written by Redis 7 or newer, and {version[0]}.{version[1]} would "
            f"start without its events: put the newer redis-server on the PATH"
        )
    return ""


def record_version(directory: Path, version: tuple[int, int]) -> None:
    """Record the version of the server that writes to this directory from now on."""
    (directory / VERSION_FILE).write_text(f"{version[0]}.{version[1]}\n")
