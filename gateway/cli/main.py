"""Runs one command: settings, the command itself, and an exit code for each kind of failure."""

from __future__ import annotations

import sys

from pymongo.errors import PyMongoError

from conf.settings import SettingsError, load, without_password
from gateway.cli.parser import Command, parser
from gateway.stack import environment
from gateway.stack.stack import started_before
from scheduler.errors import RedisUnavailable

EX_USAGE, EX_UNAVAILABLE, EX_CONFIG = 64, 69, 78  # as in sysexits.h


def main(arguments: list[str]) -> int:
    """Run the command; returns its exit code, EX_CONFIG or EX_UNAVAILABLE."""
    parsed = parser().parse_args(arguments)
    parsed.environ = command_environment()
    command: Command = parsed.command
    try:
        settings = load(parsed.environ)
        return command(settings, parsed)
    except SettingsError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return EX_CONFIG
    except RedisUnavailable as error:
        print(
            f"redis does not answer ({error}): is the stack up? "
            f"REDIS_URL={without_password(settings.redis_url)}",
            file=sys.stderr,
        )
    except PyMongoError as error:
        print(
            f"mongodb does not answer ({type(error).__name__}): is the stack up? (make status)",
            file=sys.stderr,
        )
    except BrokenPipeError:  # the reader of our output, such as `head`, has exited
        return 0
    return EX_UNAVAILABLE


def command_environment() -> dict[str, str]:
    """This process's environment over that of the stack started by `make up`, if it is running:
    commands then need none of the stack's settings."""
    own = environment.inherited()
    if own.get("SUPERVISOR_ENABLED"):  # a program of the stack: its environment is complete
        return own
    stack = started_before()
    return {**stack.env, **own} if stack.is_up() else own
