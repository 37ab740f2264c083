"""Computes the complete environment of a stack from the caller's environment.

Invariant: supervisord and its programs need no variable that is not set here; a stack starts its
own store only if no URL of one is given.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from conf.settings import ROOT, Settings, SettingsError, load, variable
from gateway.stack.preflight import Listener

STOP_MARGIN_SECONDS = 10  # after the drain: returning unfinished events to the queue, and exiting
HOME_VARIABLE = "STACK_HOME"  # identifies the processes of one stack (orphans.py)

# Variables of a stack that are not settings.
_STACK_VARIABLES = (
    "LOCAL_REDIS_PORT",
    "LOCAL_MONGO_PORT",
    "ROUTINGSIM_BIND",
    "ROUTINGSIM_LATENCY_MS",
    HOME_VARIABLE,
)


@dataclass(frozen=True)
class Plan:
    """What one stack consists of.

    environ: supervisord's; ``machine.make_ready`` adds the paths of the servers.
    own: the programs of conf/supervisor.d/local that this stack runs itself.
    """

    settings: Settings
    environ: dict[str, str]
    own: tuple[str, ...]
    listeners: tuple[Listener, ...]


def inherited() -> dict[str, str]:
    """The environment of this process."""
    return dict(os.environ)


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without our settings, for stacks that must not depend on them."""
    ours = {variable(setting) for setting in fields(Settings)} | set(_STACK_VARIABLES)
    return {name: value for name, value in environ.items() if name not in ours}


def plan(environ: Mapping[str, str], home: Path, own: Iterable[str] | None = None) -> Plan:
    """Decide what runs in ``home``. Raises ``SettingsError`` if a setting is wrong.

    own: the programs of conf/supervisor.d/local to run, even if their URLs are given (as for stores
    behind a proxy); None: those whose URL is not given.
    """
    given = {name: value for name, value in environ.items() if value.strip()}
    redis_port = _port(given, "LOCAL_REDIS_PORT", 6379)
    mongo_port = _port(given, "LOCAL_MONGO_PORT", 27017)
    sim = given.get("ROUTINGSIM_BIND", "127.0.0.1:8090")
    run_dir = ROOT / given.get("RUN_DIR", home / ".run")
    own = (
        tuple(
            program
            for program, url in (
                ("redis", "REDIS_URL"),
                ("mongod", "MONGO_URL"),
                ("routingsim", "ROUTING_URL"),
            )
            if url not in given
        )
        if own is None
        else tuple(own)
    )
    complete = {
        "PROFILE": "local",
        "REDIS_URL": f"unix://{run_dir}/redis.sock?db=0",
        "MONGO_URL": f"mongodb://127.0.0.1:{mongo_port}/fincart",
        "ROUTING_URL": f"http://{sim}",
        **given,
        "RUN_DIR": str(run_dir),
        "LOCAL_REDIS_PORT": str(redis_port),
        "LOCAL_MONGO_PORT": str(mongo_port),
        "ROUTINGSIM_BIND": sim,
        "APP_ROOT": str(ROOT),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), given.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), given.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",  # a killed process loses no log line
    }
    settings = load(complete)
    complete |= {
        "GATEWAY_BIND": settings.gateway_bind,
        "OPS_BIND": settings.ops_bind,
        "LOOKUP_PROCESSES": str(settings.lookup_processes),
        "ROUTING_PROCESSES": str(settings.routing_processes),
        "STOP_SECONDS": str(math.ceil(settings.drain_seconds) + STOP_MARGIN_SECONDS),
        # Room for bodies, event hashes, dead letters and tombstones.
        "REDIS_MAXMEMORY": str(2 * settings.backlog_max_bytes + 1_000_000_000),
    }
    listeners = [
        _listener("gateway", settings.gateway_bind, "GATEWAY_BIND"),
        _listener("ops", settings.ops_bind, "OPS_BIND"),
    ]
    local = {
        "redis": Listener(
            "redis",
            "127.0.0.1",
            redis_port,
            "LOCAL_REDIS_PORT to another port, or REDIS_URL to use that server",
        ),
        "mongod": Listener(
            "mongod",
            "127.0.0.1",
            mongo_port,
            "LOCAL_MONGO_PORT to another port, or MONGO_URL to use that server",
        ),
        "routingsim": _listener("routingsim", sim, "ROUTINGSIM_BIND"),
    }
    return Plan(settings, complete, own, (*listeners, *(local[program] for program in own)))


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, str(default))
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise SettingsError([f"{name}={text!r} is not allowed: it must be a port"])
    return int(text)


def _listener(program: str, bind: str, setting: str) -> Listener:
    host, _, port = bind.rpartition(":")
    return Listener(program, host, int(port) if port.isdecimal() else 0, setting)
