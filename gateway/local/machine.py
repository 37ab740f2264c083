"""Checks the machine for one stack and makes its directory ready."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from conf import preflight, servers
from conf.environment import Plan
from gateway.local import instance

# What later commands need to know about a running stack, whatever their own environment says.
REMEMBERED = ("REDIS_URL", "MONGO_URL", "ROUTING_URL", "GATEWAY_BIND", "OPS_BIND", "RUN_DIR",
              "DRAIN_SECONDS")


def make_ready(plan: Plan, home: Path, socket: Path, shared: Iterable[str] | None) -> list[str]:
    """Lay out ``home`` and add the servers found to ``plan.environ``; answers warnings.

    Raises ``PreflightError`` with a line for everything that is in the way.
    """
    run_dir = Path(plan.environ["RUN_DIR"])
    search = plan.environ["PATH"]
    problems = [preflight.port_problem(listener) for listener in plan.listeners]
    problems.append(preflight.socket_path_problem(socket, "move the checkout to a shorter path"))
    if "redis" in plan.own:
        problems.append(preflight.socket_path_problem(
            run_dir / "redis.sock", "set RUN_DIR to a shorter path"))
        problems.append(_find_redis(plan.environ, search, run_dir / "redis"))
    if "mongod" in plan.own:
        problems.append(_find_mongod(plan.environ, search, run_dir / "mongo"))
    preflight.require(problems)
    instance.prepare(home, run_dir, plan.own, shared)
    instance.remember(home, {**plan.environ, "DRAIN_SECONDS": f"{plan.settings.drain_seconds:g}"},
                      REMEMBERED)
    warning = preflight.raise_open_files()
    return [warning] if warning else []


def _find_redis(environ: dict[str, str], search: str, data: Path) -> str:
    try:
        server = servers.redis_server(search)
    except servers.Unusable as lack:
        return str(lack)
    problem = preflight.data_problem(data, server.version)
    if not problem:
        preflight.sign_data(data, server.version)
        environ["REDIS_SERVER"] = str(server.path)
    return problem


def _find_mongod(environ: dict[str, str], search: str, data: Path) -> str:
    try:
        environ["MONGOD"] = str(servers.mongod(search).path)
    except servers.Unusable as lack:
        return str(lack)
    data.mkdir(parents=True, exist_ok=True)
    return ""
