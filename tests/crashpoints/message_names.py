"""The name of a message by its first bytes: the command of Redis, MongoDB or HTTP."""

from __future__ import annotations

from functools import cache

import bson

from scheduler import scripts

OP_QUERY, OP_MSG = 2004, 2013  # OP_QUERY is used for handshakes only
HTTP = (b"GET ", b"POST ", b"PUT ", b"DELETE ", b"HTTP/")

# Commands that only set up a connection are not counted: they change nothing, so a crash at one is
# the same as a crash before the first command. Which thread has to send them varies, too.
HANDSHAKES = frozenset({"redis HELLO", "redis AUTH", "redis SELECT", "redis CLIENT", "mongo hello"})


def name(data: bytes) -> str:
    """For example ``redis done``, ``mongo update shipments``, ``http POST /v1/routes``."""
    if data.startswith(b"*"):
        return f"redis {_redis(data)}"
    if data.startswith(HTTP):
        first, second = data.split(b" ", 2)[:2]
        return f"http {first.decode()} {second.decode()}"
    operation = int.from_bytes(data[12:16], "little")
    if operation == OP_QUERY:
        return "mongo hello"
    if operation == OP_MSG:
        return f"mongo {_mongo(data)}"
    return f"unknown {data[:20]!r}"


def _redis(data: bytes) -> str:
    _, _, command, *rest = data.split(b"\r\n", 5)
    if command == b"EVALSHA":
        return _verbs().get(rest[1].decode(), "EVALSHA of another script")
    return command.decode()


def _mongo(data: bytes) -> str:
    size = int.from_bytes(
        data[21:25], "little"
    )  # after the header, the flags and the section's kind
    command, what = next(iter(bson.decode(data[21 : 21 + size]).items()))
    if command.lower() == "ismaster":  # the old name of hello
        return "hello"
    return f"{command} {what}" if isinstance(what, str) else str(command)


@cache
def _verbs() -> dict[str, str]:
    return {scripts.load(path.stem).sha: path.stem for path in scripts.FOLDER.glob("*.lua")}
