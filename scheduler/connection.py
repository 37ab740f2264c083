"""One connection to Redis, used directly and by one thread at a time.

Invariant: a reply always belongs to the command it is returned for. A connection that timed out,
was reset or holds an unexpected reply is closed and never used again; the next command opens a new
one. No command is repeated automatically (except after NOSCRIPT): the caller decides about that.
"""

from __future__ import annotations

import re
import time
from functools import partial
from typing import Any, NoReturn

from hiredis import ProtocolError
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import RedisError
from redis.retry import Retry

from scheduler.errors import RedisUnavailable, ServerError
from scheduler.resp_transport import Arg, RespTransport, pack
from scheduler.scripts import Script

# A connection that was idle for longer is checked before use. Lower: one more system call for more
# commands. Higher: more commands fail on a connection that Redis has closed.
IDLE_SECONDS = 0.1

# Redis 6.2 wraps the error of a command inside a script; 7 does not.
_IN_SCRIPT = re.compile(r"^ERR Error running script .*?: -([A-Z]+) ")


def short_reason(error: BaseException) -> str:
    """The code of a server error (OOM, LOADING …) or the class of the fault, without arguments."""
    if isinstance(error, ServerError):
        wrapped = _IN_SCRIPT.search(str(error))
        return wrapped[1] if wrapped else str(error).split(" ", 1)[0][:40]
    if isinstance(error, RedisError) and error.status_code:  # while connecting
        return error.status_code
    return "ConnectionError" if isinstance(error, ConnectionError) else type(error).__name__


class RedisConnection:
    """A connection that is opened by its first command, so after a fork.

    timeout_seconds: longest wait for the connection or for a reply.
    """

    def __init__(self, url: str, timeout_seconds: float = 2.0) -> None:
        # RESP2: its replies are the same on every server version. No driver_info: to send it costs
        # two round trips a connection, errors on 6.2, and a search for the package's version.
        options: dict[str, Any] = {
            "protocol": 2,
            "socket_timeout": timeout_seconds,
            "socket_connect_timeout": timeout_seconds,
            "retry": Retry(NoBackoff(), 0),
            "driver_info": None,
        }
        if not url.startswith("unix:"):
            options["socket_keepalive"] = True
        # The pool only parses the URL. Its own factory makes at most 100 connections, and during an
        # outage of Redis that many are tried within seconds.
        pool = ConnectionPool.from_url(url, **options)
        self._make = partial(pool.connection_class, **pool.connection_kwargs)
        self._timeout_seconds = timeout_seconds
        self._transport: RespTransport | None = None
        self._used_at = 0.0

    def close(self) -> None:
        """Close the connection; the next command opens a new one."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def command(self, *args: Arg, timeout_seconds: float | None = None) -> Any:
        """Send one command and return its reply. timeout_seconds: instead of the connection's own.

        Raises ``RedisUnavailable`` on every fault and on every error reply.
        """
        reply = self._exchange(
            pack(args), self._timeout_seconds if timeout_seconds is None else timeout_seconds
        )
        if isinstance(reply, ServerError):
            self._fail(reply)
        return reply

    def send(self, *args: Arg) -> None:
        """Send a command whose reply ``receive`` returns."""
        try:
            self._connect().send(pack(args))
        except BaseException as error:
            self._fail(error)

    def receive(self) -> Any:
        """The reply to the command that was sent last. Raises like ``command``."""
        try:
            assert self._transport is not None
            reply = self._transport.receive(self._timeout_seconds)
        except BaseException as error:
            self._fail(error)
        if isinstance(reply, ServerError):
            self._fail(reply)
        return reply

    def readable(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for a reply (or the end of the connection) to arrive."""
        try:
            assert self._transport is not None
            return self._transport.readable(seconds)
        except BaseException as error:
            self._fail(error)

    def run(self, script: Script, keys: list[str], args: list[Arg]) -> Any:
        """Run a script. If Redis does not know it yet (it restarted), load it and run it again."""
        return self.run_packed(script, pack(("EVALSHA", script.sha, len(keys), *keys, *args)))

    def run_packed(self, script: Script, packed: bytes) -> Any:
        """Like ``run``, with the whole command packed already."""
        reply = self._exchange(packed, self._timeout_seconds)
        if isinstance(reply, ServerError):
            if short_reason(reply) != "NOSCRIPT":
                self._fail(reply)
            self.command("SCRIPT", "LOAD", script.text)
            reply = self._exchange(packed, self._timeout_seconds)
            if isinstance(reply, ServerError):  # SCRIPT FLUSH in between
                self._fail(reply)
        return reply

    def _exchange(self, packed: bytes, timeout_seconds: float) -> Any:
        """The reply, which may be a ``ServerError``."""
        try:
            transport = self._connect()
            transport.send(packed)
            return transport.receive(timeout_seconds)
        except BaseException as error:
            self._fail(error)

    def _connect(self) -> RespTransport:
        now = time.monotonic()
        idle, self._used_at = now - self._used_at, now
        transport = self._transport
        if transport is not None and idle > IDLE_SECONDS and transport.readable(0):
            # Redis has closed it, or it holds an unexpected reply. Nothing was sent yet, so a new
            # connection repeats nothing.
            self.close()
            transport = None
        if transport is None:
            connection: Any = self._make()
            connection.connect()
            transport = self._transport = RespTransport(connection, self._timeout_seconds)
        return transport

    def _fail(self, error: BaseException) -> NoReturn:
        reason = short_reason(error)
        if not isinstance(error, ServerError) or reason == "READONLY":
            # Also after an interrupt between sending and reading. A server that became a replica
            # answers READONLY until it is reconnected: the address may lead to the new primary.
            self.close()
        if isinstance(error, ServerError | RedisError | OSError | ValueError | ProtocolError):
            raise RedisUnavailable(reason) from error
        raise error
