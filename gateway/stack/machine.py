"""Checks the machine for one stack and prepares its directory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gateway.stack import home_directory, preflight, servers
from gateway.stack.environment import Plan
from gateway.stack.servers import Server

# What later commands need to know about a running stack; it overrides their own environment.
REMEMBERED = (
    "REDIS_URL",
    "MONGO_URL",
    "ROUTING_URL",
    "GATEWAY_BIND",
    "OPS_BIND",
    "RUN_DIR",
    "DRAIN_SECONDS",
    "PROFILE",
    "SOURCES_FILE",
)

FINDERS = {"redis": servers.redis_server, "mongod": servers.mongod}
VARIABLES = {"redis": "REDIS_SERVER", "mongod": "MONGOD"}  # in conf/supervisor.d/local


def make_ready(plan: Plan, home: Path, socket: Path, shared: Iterable[str] | None) -> list[str]:
    """Prepare ``home`` and add the paths of the servers to ``plan.environ``; returns warnings.

    socket: supervisord's. shared: see ``home_directory.prepare``.
    Raises ``PreflightError`` with one line for each problem.
    """
    run_dir = Path(plan.environ["RUN_DIR"])
    found: dict[str, Server] = {}
    problems = [preflight.port_problem(listener) for listener in plan.listeners]
    problems.append(preflight.socket_path_problem(socket, "move the checkout to a shorter path"))
    if "redis" in plan.own:
        problems.append(
            preflight.socket_path_problem(run_dir / "redis.sock", "set RUN_DIR to a shorter path")
        )
    for program in FINDERS:
        if program in plan.own:
            try:
                found[program] = FINDERS[program](plan.environ["PATH"])
            except servers.Unusable as problem:
                problems.append(str(problem))
    if "redis" in found:
        problems.append(preflight.data_problem(run_dir / "redis", found["redis"].version))
    preflight.require(problems)

    home_directory.prepare(home, run_dir, plan.own, shared)
    for program, server in found.items():
        (run_dir / program).mkdir(exist_ok=True)
        plan.environ[VARIABLES[program]] = str(server.path)
    if "redis" in found:
        preflight.record_version(run_dir / "redis", found["redis"].version)
    settings = {
        "DRAIN_SECONDS": f"{plan.settings.drain_seconds:g}",
        "SOURCES_FILE": str(plan.settings.sources_file),
    }
    home_directory.remember(home, {**plan.environ, **settings}, REMEMBERED)
    warning = preflight.raise_open_files()
    return [warning] if warning else []
