"""The Docker engine and the Compose commands of this machine, called as an operator calls them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping

from conf.settings import ROOT

SECONDS = 900  # for the slowest command there is, a build from nothing on a slow line
POLL_SECONDS = 0.3  # each look is a process or two
CALLERS = ("PATH", "HOME")  # of the caller's environment; and what says where the engine is


def bare_environment() -> dict[str, str]:
    """This process's environment without whatever might steer the project."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in CALLERS or name.startswith(("DOCKER_", "BUILDX_"))
    }


def run(
    *command: str, env: Mapping[str, str] | None = None, check: bool = True, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in the project's root; what it printed is in the failure. text: its input."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**bare_environment(), **(env or {})},
        input=text,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if check:
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
    return done


def docker(*arguments: str, check: bool = True) -> str:
    """What `docker …` prints on both its outputs (`docker logs` keeps them apart)."""
    done = run("docker", *arguments, check=check)
    return (done.stdout + done.stderr).strip()


def await_true(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until the condition holds; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(POLL_SECONDS)


def composes() -> list[str]:
    """The Compose commands to try: COMPOSE names one, otherwise all that there are."""
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


def lack() -> str:
    """Why nothing can be run here, in one line; empty if it can."""
    if not shutil.which("docker") or run("docker", "info", check=False).returncode:
        return "make test-docker needs a Docker engine, and `docker info` finds none"
    return "" if composes() else "make test-docker needs Compose: docker compose or docker-compose"
