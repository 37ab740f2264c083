"""What a machine must offer before the stack is started, each lack with a one-line remedy.

Invariant: a check starts no server and changes nothing but the soft limit of open files.
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
FEW_FILES = 4096  # below: thousands of waiting connections and calls are refused


class PreflightError(Exception):
    """The stack cannot be started here; ``str()`` holds one line for each reason."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True)
class Listener:
    """An address that a program is about to listen on, and the setting that moves it."""

    program: str
    host: str
    port: int
    setting: str


def require(problems: Iterable[str]) -> None:
    """Raise one ``PreflightError`` for all problems, so that they are mended in one go."""
    found = [problem for problem in problems if problem]
    if found:
        raise PreflightError(found)


def port_problem(listener: Listener) -> str:
    """Empty if the address is free."""
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
    """Empty if a unix socket can have that path."""
    length = len(os.fsencode(path))
    if length <= SOCKET_PATH_MAX:
        return ""
    return f"{path} has {length} bytes, a socket's path {SOCKET_PATH_MAX} at most: {remedy}"


def raise_open_files() -> str:
    """Lift the soft limit of open files to the hard one; a warning if that is still low."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, 65536, 10240):  # macOS refuses its own "unlimited"
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (ValueError, OSError):
            continue
        break
    return open_files_warning(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def open_files_warning(limit: int) -> str:
    """Empty if that many open files are enough."""
    if limit == resource.RLIM_INFINITY or limit >= FEW_FILES:
        return ""
    return (
        f"only {limit} open files are allowed, {FEW_FILES} is little already: "
        f"raise the hard limit (ulimit -Hn, /etc/security/limits.conf)"
    )


def data_problem(directory: Path, version: tuple[int, int]) -> str:
    """Empty if a Redis of ``version`` may open the data that lies there.

    An older server does not find what a newer one wrote (7.0 changed the layout of the append
    only file): it comes up empty, and says nothing. The first start leaves its version there.
    """
    stamp = directory / "server-version"
    written = stamp.read_text().strip() if stamp.is_file() else ""
    if written and version < tuple(int(part) for part in written.split(".")):
        return (
            f"{directory} was written by Redis {written}, and {version[0]}.{version[1]} would "
            f"come up without its events: put the newer redis-server on the PATH"
        )
    if not written and version < (7, 0) and (directory / "appendonlydir").is_dir():
        return (
            f"{directory} was written by Redis 7 or newer, and {version[0]}.{version[1]} would "
            f"come up without its events: put the newer redis-server on the PATH"
        )
    return ""


def sign_data(directory: Path, version: tuple[int, int]) -> None:
    """Note which server writes there from now on."""
    (directory / "server-version").write_text(f"{version[0]}.{version[1]}\n")
