"""``python -m gateway.stack``: the commands behind `make up`, `down`, `reload`, `status`, `ctl` and
`redis-cli`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from conf.settings import SettingsError
from gateway.stack import environment, servers
from gateway.stack.preflight import PreflightError
from gateway.stack.readiness import StackError
from gateway.stack.stack import Stack, started_before, to_be_started

USAGE = """usage: python -m gateway.stack COMMAND
  up              start the whole stack in the background
  run             the same in the foreground, as a container does
  down            stop it
  reload          apply the current sources.toml to every process
  status          run `supervisorctl status`
  ctl ARG…        pass anything to supervisorctl
  redis-cli ARG…  pass anything to redis-cli"""

NOT_RUNNING = 4  # the exit code of supervisorctl when no supervisord answers
SEED_TRIES = 5  # each waits 2 s for MongoDB; the demo starts even if all of them fail


def up() -> int:
    stack = started_before()
    if stack.is_up():
        print(f"already up: {stack.gateway_url} (make down, then make up, to change settings)")
        return 0
    stack = to_be_started()
    print(f"starting {', '.join([*stack.own, 'gateway, scheduler and workers'])} …", flush=True)
    stack.start()
    _warn(stack)
    if "mongod" in stack.own:  # never fill a database that the caller provides
        subprocess.run([sys.executable, "-m", "gateway", "seed"], env=stack.env, check=False)
    print(
        f"up: events go to {stack.gateway_url}/v1/events/<source>, ops at {stack.ops_url}, "
        f"logs in {stack.run_dir}/log; make down stops it"
    )
    return 0


def run() -> int:
    stack = to_be_started()
    stack.prepare()
    _warn(stack)
    if stack.env["PROFILE"] == "demo":
        _seed_if_empty(stack)
    command = stack.command("--nodaemon")
    os.chdir(stack.home)
    os.execve(command[0], command, stack.marked_env())


def _seed_if_empty(stack: Stack) -> None:
    """Seed before anything runs, so that a ready stack has its shipments."""
    for _ in range(SEED_TRIES):
        seed = [sys.executable, "-m", "gateway", "seed", "--if-empty"]
        if subprocess.run(seed, env=stack.env, check=False).returncode == 0:
            return
        time.sleep(1)
    print("warning: no shipments were created: run python -m gateway seed later", file=sys.stderr)


def down() -> int:
    stack = started_before()
    if stack.is_up():
        print("stopping; workers finish their events or return them to the queue …", flush=True)
    print("down" if stack.stop() else "nothing is running")
    return 0


def reload() -> int:
    stack = started_before()
    if not stack.is_up():
        print("nothing is running: make up starts it")
        return NOT_RUNNING
    stack.reload()
    print("reloaded; the edge's log says which secrets are missing, if any")
    return 0


def ctl(arguments: list[str]) -> int:
    stack = started_before()
    if not stack.is_up():
        print("nothing is running: make up starts it")
        return NOT_RUNNING
    return stack.run_ctl(*arguments).returncode


def redis_cli(arguments: list[str]) -> int:
    stack = started_before()
    client = servers.redis_cli(environment.inherited().get("PATH", ""))
    command = [str(client), *_redis_cli_options(stack.redis_url), *arguments]
    return subprocess.run(command, check=False).returncode


def _redis_cli_options(url: str) -> list[str]:
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return ["--no-auth-warning", "-u", url]
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return ["-s", str(Path(parts.path)), "-n", database]


def _warn(stack: Stack) -> None:
    for warning in stack.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def main(arguments: list[str]) -> int:
    command, rest = (arguments or [""])[0], arguments[1:]
    try:
        match command:
            case "up":
                return up()
            case "run":
                return run()
            case "down":
                return down()
            case "reload":
                return reload()
            case "status":
                return ctl(["status", *rest])
            case "ctl":
                return ctl(rest)
            case "redis-cli":
                return redis_cli(rest)
            case _:
                print(USAGE, file=sys.stderr)
                return 2
    except (PreflightError, SettingsError, StackError, servers.Unusable) as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
