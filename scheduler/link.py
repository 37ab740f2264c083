"""One connection to Redis, used directly and by one thread at a time.

Invariant: a reply always belongs to the command it is returned for. A connection that timed out,
was cut or gave a reply that nobody waited for is closed and never used again; the next command
opens a new one. Nothing is sent twice by itself: whoever calls decides whether to repeat.
"""

from __future__ import annotations

import re
import time
from typing import Any, NoReturn

from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from scheduler.errors import RedisUnavailable
from scheduler.scripts import Script

Arg = str | bytes | int | float

IDLE_SECONDS = 0.1  # below it a connection is taken to be alive: looking costs a system call


# 6.2 wraps what a command inside a script was answered; 7 does not.
_IN_SCRIPT = re.compile(r"^Error running script .*?: -([A-Z]+) ")


def short_reason(error: BaseException) -> str:
    """The code of a server error (OOM, LOADING …) or the kind of the fault; no arguments."""
    if isinstance(error, RedisError) and error.status_code:
        wrapped = _IN_SCRIPT.search(str(error))
        return wrapped[1] if wrapped else error.status_code
    if isinstance(error, ResponseError):  # the client keeps the code of the kinds it knows only
        return str(error).split(" ", 1)[0][:40]
    return type(error).__name__


class Link:
    """A connection that opens itself when it is first used (so: after a fork).

    timeout: seconds to wait for a connection or a reply.
    """

    def __init__(self, url: str, timeout: float = 2.0) -> None:
        # The pool is a factory here: it knows every form of URL, TLS and passwords. RESP2, for its
        # replies are the same on every server version.
        options: dict[str, Any] = {
            "protocol": 2, "socket_timeout": timeout, "socket_connect_timeout": timeout,
            "retry": Retry(NoBackoff(), 0),
        }
        if not url.startswith("unix:"):
            options["socket_keepalive"] = True
        self._make = ConnectionPool.from_url(url, **options).make_connection
        self._timeout = timeout
        self._connection: Any = None
        self._used_at = 0.0

    def close(self) -> None:
        """Close the connection; the next command opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def command(self, *args: Arg, timeout: float | None = None) -> Any:
        """Send one command and return its reply; timeout in seconds, if not the link's own.

        Raises ``RedisUnavailable`` on every fault and every error that Redis answers, except
        ``NoScriptError``, which ``run`` mends.
        """
        self.send(*args)
        return self.receive(timeout)

    def send(self, *args: Arg) -> None:
        """Send a command whose reply ``receive`` returns."""
        try:
            now = time.monotonic()
            idle, self._used_at = now - self._used_at, now
            if self._connection is not None and self._went_stale(idle):
                self.close()
            if self._connection is None:
                connection = self._make()
                connection.connect()  # type: ignore[no-untyped-call]
                self._connection = connection
            self._connection.send_command(*args)
        except BaseException as error:
            self._fail(error)

    def _went_stale(self, idle: float) -> bool:
        """Whether a connection that lay idle was closed by Redis meanwhile (or holds a reply that
        nobody waited for). Asked before anything is sent, so reconnecting repeats nothing."""
        if idle <= IDLE_SECONDS:
            return False
        try:
            return bool(self._connection.can_read(0))
        except (RedisError, OSError):
            return True

    def receive(self, timeout: float | None = None) -> Any:
        """The reply to the command that was sent last. Raises as ``command`` does."""
        try:
            return self._connection.read_response(
                disable_decoding=True, timeout=self._timeout if timeout is None else timeout
            )
        except NoScriptError:
            raise
        except BaseException as error:
            self._fail(error)

    def readable(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for a reply (or the end of the connection) to arrive."""
        try:
            return bool(self._connection.can_read(seconds))
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> NoReturn:
        reason = short_reason(error)
        if not isinstance(error, ResponseError) or reason == "READONLY":
            # Also when interrupted between sending and reading. A server that became a replica
            # would answer READONLY for ever; the address may lead to the new primary by now.
            self.close()
        if isinstance(error, RedisError | OSError | ValueError):
            raise RedisUnavailable(reason) from error
        raise error

    def run(self, script: Script, keys: list[str], args: list[Arg]) -> Any:
        """Run a script; one that Redis does not know yet (it restarted) is loaded and run again."""
        try:
            return self.command("EVALSHA", script.sha, len(keys), *keys, *args)
        except NoScriptError:
            self.command("SCRIPT", "LOAD", script.text)
            try:
                return self.command("EVALSHA", script.sha, len(keys), *keys, *args)
            except NoScriptError as error:  # flushed between the two
                raise RedisUnavailable("NOSCRIPT") from error
