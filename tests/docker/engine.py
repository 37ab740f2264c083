"""Runs `docker` and the installed Compose commands."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping

from conf.settings import ROOT

TIMEOUT_SECONDS = 900  # for the slowest command, an image build without cache on a slow network
POLL_SECONDS = 0.3  # each poll starts a process or two
KEPT = ("PATH", "HOME")  # and the variables that locate the engine


def bare_environment() -> dict[str, str]:
    """This process's environment without settings that would change the project."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or name.startswith(("DOCKER_", "BUILDX_"))
    }


def run(
    *command: str, env: Mapping[str, str] | None = None, check: bool = True, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in the project's root; a failure shows its output. text: standard input."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**bare_environment(), **(env or {})},
        input=text,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    if check:
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
    return done


def docker(*arguments: str, check: bool = True) -> str:
    """The standard output and standard error of `docker …`."""
    done = run("docker", *arguments, check=check)
    return (done.stdout + done.stderr).strip()


def await_true(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until the condition holds; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(POLL_SECONDS)


def composes() -> list[str]:
    """The Compose commands to test: the one that COMPOSE names, or all that are installed."""
    wanted = os.environ.get("COMPOSE")
    return (
        [wanted]
        if wanted
        else [
            command
            for command in ("docker compose", "docker-compose")
            if shutil.which(command.split()[0])
            and run(*command.split(), "version", check=False).returncode == 0
        ]
    )


def missing() -> str:
    """What the tests need and this machine lacks, in one line; empty if nothing."""
    if not shutil.which("docker") or run("docker", "info", check=False).returncode:
        return "make test-docker needs a Docker engine, and `docker info` finds none"
    return "" if composes() else "make test-docker needs Compose: docker compose or docker-compose"
