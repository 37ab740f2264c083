"""The directory of a stack: supervisord's configuration, sockets, logs and data.

`make up` uses the project's root. Any other directory gets a copy of supervisord.conf and links
to its programs, so that several stacks can run at the same time.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from conf.settings import ROOT
from gateway.stack.preflight import SOCKET_PATH_MAX

PROGRAMS = Path("conf") / "supervisor.d"
LONGEST_SOCKET_NAME = len("/.run/supervisor.sock")

# Below the kernel's range for outgoing connections: one of those could otherwise take a port
# between its choice and the start of its server.
_PORTS = range(20_000, 32_000)


@contextlib.contextmanager
def temporary_home() -> Iterator[Path]:
    """A temporary directory with a path short enough for unix sockets."""
    name = tempfile.mkdtemp(prefix="gateway-")
    if len(os.fsencode(name)) + LONGEST_SOCKET_NAME > SOCKET_PATH_MAX:
        os.rmdir(name)
        name = tempfile.mkdtemp(prefix="gateway-", dir="/tmp")
    try:
        yield Path(name).resolve()
    finally:
        shutil.rmtree(name, ignore_errors=True)


def prepare(home: Path, run_dir: Path, own: Iterable[str], shared: Iterable[str] | None) -> None:
    """Create the files and directories that supervisord needs.

    own: programs of conf/supervisor.d/local. shared: programs of conf/supervisor.d, None for all;
    the project's root always has all of them.
    """
    for directory in (home / ".run", run_dir):  # sockets: only their owner may connect
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (run_dir / "log").mkdir(exist_ok=True)
    if home != ROOT:
        shutil.copyfile(ROOT / "supervisord.conf", home / "supervisord.conf")
        wanted = None if shared is None else {f"{name}.conf" for name in shared}
        _link(
            home / PROGRAMS,
            (
                path
                for path in (ROOT / PROGRAMS).glob("*.conf")
                if wanted is None or path.name in wanted
            ),
        )
    _link(
        home / ".run" / "supervisor.d",
        (ROOT / PROGRAMS / "local" / f"{program}.conf" for program in own),
    )


def _link(directory: Path, targets: Iterable[Path]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.conf"):
        old.unlink()
    for target in targets:
        (directory / target.name).symlink_to(target)


def remember(home: Path, environ: dict[str, str], names: Iterable[str]) -> None:
    """Save these variables for commands that run later, in a shell with another environment."""
    path = home / ".run" / "stack.json"
    path.touch(mode=0o600)  # a URL may hold a password
    path.write_text(json.dumps({name: environ[name] for name in names}))


def recall(home: Path) -> dict[str, str]:
    """What ``remember`` saved; empty if nothing."""
    try:
        saved = json.loads((home / ".run" / "stack.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {str(name): str(value) for name, value in saved.items()}


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nothing listens on."""
    found: list[int] = []
    # The system's randomness: two processes seeded alike (pytest-randomly) must not choose alike.
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free ports from 20000 to 32000")
