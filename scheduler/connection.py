"""One connection to Redis, used directly and by one thread at a time.

Invariant: a reply always belongs to the command it is returned for. A connection that timed out,
was cut or gave a reply that nobody waited for is closed and never used again; the next command
opens a new one. Nothing is sent twice by itself: whoever calls decides whether to repeat.
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

IDLE_SECONDS = 0.1  # below it a connection is taken to be alive: looking costs a system call

# 6.2 wraps what a command inside a script was answered; 7 does not.
_IN_SCRIPT = re.compile(r"^ERR Error running script .*?: -([A-Z]+) ")


def short_reason(error: BaseException) -> str:
    """The code of a server error (OOM, LOADING …) or the kind of the fault; no arguments."""
    if isinstance(error, ServerError):
        wrapped = _IN_SCRIPT.search(str(error))
        return wrapped[1] if wrapped else str(error).split(" ", 1)[0][:40]
    if isinstance(error, RedisError) and error.status_code:  # while connecting
        return error.status_code
    return "ConnectionError" if isinstance(error, ConnectionError) else type(error).__name__


class RedisConnection:
    """A connection that opens itself when it is first used (so: after a fork).

    timeout: seconds to wait for a connection or a reply.
    """

    def __init__(self, url: str, timeout: float = 2.0) -> None:
        # RESP2, for its replies are the same on every server version. No word on the library: it
        # costs two round trips a connection, errors on 6.2, and a search for the package's version.
        options: dict[str, Any] = {
            "protocol": 2,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "retry": Retry(NoBackoff(), 0),
            "driver_info": None,
        }
        if not url.startswith("unix:"):
            options["socket_keepalive"] = True
        # The pool only reads the URL. Its own factory counts what it makes, and after a hundred
        # makes no more: an outage of Redis tries that often within seconds.
        pool = ConnectionPool.from_url(url, **options)
        self._make = partial(pool.connection_class, **pool.connection_kwargs)
        self._timeout = timeout
        self._wire: RespTransport | None = None
        self._used_at = 0.0

    def close(self) -> None:
        """Close the connection; the next command opens a new one."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def command(self, *args: Arg, timeout: float | None = None) -> Any:
        """Send one command and return its reply; timeout in seconds, if not the link's own.

        Raises ``RedisUnavailable`` on every fault and every error that Redis answers.
        """
        reply = self._exchange(pack(args), self._timeout if timeout is None else timeout)
        if isinstance(reply, ServerError):
            self._fail(reply)
        return reply

    def send(self, *args: Arg) -> None:
        """Send a command whose reply ``receive`` returns."""
        try:
            self._open().send(pack(args))
        except BaseException as error:
            self._fail(error)

    def receive(self) -> Any:
        """The reply to the command that was sent last. Raises as ``command`` does."""
        try:
            assert self._wire is not None
            reply = self._wire.receive(self._timeout)
        except BaseException as error:
            self._fail(error)
        if isinstance(reply, ServerError):
            self._fail(reply)
        return reply

    def readable(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for a reply (or the end of the connection) to arrive."""
        try:
            assert self._wire is not None
            return self._wire.readable(seconds)
        except BaseException as error:
            self._fail(error)

    def run(self, script: Script, keys: list[str], args: list[Arg]) -> Any:
        """Run a script; one that Redis does not know yet (it restarted) is loaded and run again."""
        return self.run_packed(script, pack(("EVALSHA", script.sha, len(keys), *keys, *args)))

    def run_packed(self, script: Script, packed: bytes) -> Any:
        """The same, with the whole command ready to be sent."""
        reply = self._exchange(packed, self._timeout)
        if isinstance(reply, ServerError):
            if short_reason(reply) != "NOSCRIPT":
                self._fail(reply)
            self.command("SCRIPT", "LOAD", script.text)
            reply = self._exchange(packed, self._timeout)
            if isinstance(reply, ServerError):  # it was flushed between the two
                self._fail(reply)
        return reply

    def _exchange(self, packed: bytes, timeout: float) -> Any:
        """The reply, which may be an error of the server's."""
        try:
            wire = self._open()
            wire.send(packed)
            return wire.receive(timeout)
        except BaseException as error:
            self._fail(error)

    def _open(self) -> RespTransport:
        now = time.monotonic()
        idle, self._used_at = now - self._used_at, now
        wire = self._wire
        if wire is not None and idle > IDLE_SECONDS and wire.readable(0):
            # Closed by Redis meanwhile (or it holds a reply that nobody waited for). Nothing was
            # sent yet, so a new connection repeats nothing.
            self.close()
            wire = None
        if wire is None:
            connection: Any = self._make()
            connection.connect()
            wire = self._wire = RespTransport(connection, self._timeout)
        return wire

    def _fail(self, error: BaseException) -> NoReturn:
        reason = short_reason(error)
        if not isinstance(error, ServerError) or reason == "READONLY":
            # Also when interrupted between sending and reading. A server that became a replica
            # would answer READONLY for ever; the address may lead to the new primary by now.
            self.close()
        if isinstance(error, ServerError | RedisError | OSError | ValueError | ProtocolError):
            raise RedisUnavailable(reason) from error
        raise error
