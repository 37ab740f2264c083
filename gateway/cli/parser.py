"""The arguments of every command, and the function that runs each."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from conf.settings import Settings
from conf.sources.statuses import Status
from gateway.cli import audit, events, ops, seed, send, sources, status

Command = Callable[[Settings, Namespace], int]


def parser() -> ArgumentParser:
    top = ArgumentParser(prog="python -m gateway", description="The Fincart Event Gateway.")
    commands = top.add_subparsers(required=True, metavar="command")
    add(commands, "status", status.status, "queues, counters, processes and warnings")
    add(commands, "ops", ops.ops, "serve the ops port (metrics, console, API)")
    p = add(commands, "watch", status.watch, "print status every second until interrupted")
    p.add_argument("--interval", type=float, default=1.0, metavar="SECONDS")
    p = add(
        commands, "show", events.show, "everything that Redis and the ledger hold about one event"
    )
    p.add_argument("id", help="<source>:<event id>")
    p = add(
        commands,
        "audit",
        audit.audit,
        "reconcile counters, queues and ledger; exit 1 if they disagree",
    )
    p.add_argument(
        "--effects",
        action="store_true",
        help="also compare each shipment's counter with the ledger (reads both collections whole)",
    )
    _send(add(commands, "send", send.send, "post one event, signed as a courier signs it"))
    _check(
        add(
            commands.add_parser("sources", help="the configured sources").add_subparsers(
                required=True, metavar="check"
            ),
            "check",
            sources.check,
            "check sources.toml, or explain a captured request; exit 1 if something is wrong",
        )
    )
    p = add(commands, "seed", seed.seed, "create SHP-1 … SHP-1000 with open orders")
    p.add_argument("--count", type=int, default=seed.SHIPMENTS)
    p.add_argument("--if-empty", action="store_true", help="do nothing if any shipment exists")
    retry = commands.add_parser("retry", help="events waiting for their next attempt")
    _list(
        add(
            retry.add_subparsers(required=True, metavar="list"),
            "list",
            events.retry_list,
            "list them, the earliest first",
        )
    )
    dead = commands.add_parser("dead", help="dead letters").add_subparsers(
        required=True, metavar="list|replay|drop"
    )
    p = _list(add(dead, "list", events.dead_list, "list them, the oldest first"))
    p.add_argument("--reason", help="only those with this reason")
    for name, command, text in (
        ("replay", events.dead_replay, "queue dead letters again"),
        ("drop", events.dead_drop, "delete dead letters for good"),
    ):
        p = add(dead, name, command, text)
        p.add_argument("ids", nargs="*", metavar="id")
        p.add_argument("--all", action="store_true", help="every dead letter")
        p.add_argument("--reason", help="every dead letter with this reason")
        p.add_argument("--rate", type=float, default=200.0, help="events per second")
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
    p.add_argument("--id", help="event id (default: a new one)")
    p.add_argument("--shipment", default="SHP-1")
    p.add_argument("--status", default="delivery_failed", choices=[s.value for s in Status])
    p.add_argument(
        "--at", type=_moment, metavar="TIME", help="courier time, ISO 8601 (default: now)"
    )
    p.add_argument("--url", help="base URL of the edge (default: GATEWAY_BIND on this host)")


def _check(p: ArgumentParser) -> None:
    p.add_argument("--source", help="only this source; required with a request")
    p.add_argument(
        "--request",
        metavar="FILE",
        help="a captured request: request line, headers, a blank line, the body "
        "(- for standard input)",
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
        help="judge as of this time: seconds since 1970, or ISO 8601 (default: now)",
    )
    p.add_argument(
        "--try",
        action="append",
        default=[],
        dest="tried",
        metavar="VARIABLE",
        help="an environment variable with another secret to try, such as a former one",
    )


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a time in ISO 8601") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
