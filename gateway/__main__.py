"""``python -m gateway …``: what operators type."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pymongo.errors import PyMongoError

from conf.settings import Settings, SettingsError, load, without_password
from conf.sources.statuses import Status
from gateway.cli import audit, events, ops, seed, send, sources, status
from gateway.stack import environment
from gateway.stack.stack import started_before
from scheduler.errors import RedisUnavailable

Command = Callable[[Settings, Namespace], int]


def main(arguments: list[str]) -> int:
    parsed = parser().parse_args(arguments)
    parsed.environ = known_environment()
    try:
        command: Command = parsed.command
        settings = load(parsed.environ)
        return command(settings, parsed)
    except SettingsError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 78  # EX_CONFIG
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
    except BrokenPipeError:  # | head
        return 0
    return 69  # EX_UNAVAILABLE


def known_environment() -> dict[str, str]:
    """This process's environment, laid over that of the stack that `make up` started: whoever
    types a command beside it need not know its settings."""
    own = environment.inherited()
    if own.get("SUPERVISOR_ENABLED"):  # one of the stack's own programs has all it needs
        return own
    stack = started_before()
    return {**stack.env, **own} if stack.is_up() else own


def parser() -> ArgumentParser:
    top = ArgumentParser(prog="python -m gateway", description="The Fincart Event Gateway.")
    commands = top.add_subparsers(required=True, metavar="command")
    add(commands, "status", status.status, "where everything stands")
    add(commands, "ops", ops.ops, "serve the operators' port")
    p = add(commands, "watch", status.watch, "the same, every second")
    p.add_argument("--interval", type=float, default=1.0, metavar="SECONDS")
    p = add(commands, "show", events.show, "all that is known of one event")
    p.add_argument("id", help="<source>:<event id>")
    p = add(commands, "audit", audit.audit, "check the books; exit 1 if they do not balance")
    p.add_argument(
        "--effects",
        action="store_true",
        help="also each shipment's counter against the ledger (reads all of both)",
    )
    _send(add(commands, "send", send.send, "sign an event as a courier does and post it"))
    _check(
        add(
            commands.add_parser("sources", help="the couriers").add_subparsers(
                required=True, metavar="check"
            ),
            "check",
            sources.check,
            "judge sources.toml, and explain a captured request; exit 1 if something is wrong",
        )
    )
    p = add(commands, "seed", seed.seed, "make SHP-1 … SHP-1000 with open orders")
    p.add_argument("--count", type=int, default=seed.SHIPMENTS)
    p.add_argument("--if-empty", action="store_true", help="do nothing if there are shipments")
    retry = commands.add_parser("retry", help="events that wait for their next attempt")
    _list(
        add(
            retry.add_subparsers(required=True, metavar="list"),
            "list",
            events.retry_list,
            "the earliest first",
        )
    )
    dead = commands.add_parser("dead", help="dead letters").add_subparsers(
        required=True, metavar="list|replay|drop"
    )
    p = _list(add(dead, "list", events.dead_list, "the oldest first"))
    p.add_argument("--reason", help="only those that died of it")
    for name, command, text in (
        ("replay", events.dead_replay, "bring dead letters back"),
        ("drop", events.dead_drop, "give dead letters up"),
    ):
        p = add(dead, name, command, text)
        p.add_argument("ids", nargs="*", metavar="id")
        p.add_argument("--all", action="store_true", help="all of them")
        p.add_argument("--reason", help="all that died of it")
        p.add_argument("--rate", type=float, default=200.0, help="events a second")
    return top


def add(commands: _SubParsersAction[Any], name: str, command: Command, text: str) -> ArgumentParser:
    found: ArgumentParser = commands.add_parser(name, help=text, description=text)
    found.set_defaults(command=command)
    return found


def _list(p: ArgumentParser) -> ArgumentParser:
    p.add_argument("--count", type=int, default=50)
    return p


def _send(p: ArgumentParser) -> None:
    p.add_argument("--source", default="bench")
    p.add_argument("--id", help="event id; a new one if left out")
    p.add_argument("--shipment", default="SHP-1")
    p.add_argument("--status", default="delivery_failed", choices=[s.value for s in Status])
    p.add_argument(
        "--at", type=_moment, metavar="TIME", help="courier time, ISO 8601; now if left out"
    )
    p.add_argument("--url", help="base of the edge; by default GATEWAY_BIND on this host")


def _check(p: ArgumentParser) -> None:
    p.add_argument("--source", help="only this one; needed with a request")
    p.add_argument(
        "--request",
        metavar="FILE",
        help="a captured request: request line, headers, a "
        "blank line, the body (- for standard input)",
    )
    p.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="a header of the request, in place of --request or added to it",
    )
    p.add_argument("--body", metavar="FILE", help="the body's exact bytes")
    p.add_argument(
        "--now",
        metavar="TIME",
        help="judge as of this time (seconds since 1970, or ISO 8601); now if left out",
    )
    p.add_argument(
        "--try",
        action="append",
        default=[],
        dest="tried",
        metavar="VARIABLE",
        help="an environment variable with another secret to try, an old one say",
    )


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a time in ISO 8601") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
