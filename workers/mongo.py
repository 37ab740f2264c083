"""The connection to MongoDB, and which of its errors mean that it is unavailable."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from pymongo import MongoClient, WriteConcern
from pymongo.database import Database
from pymongo.errors import (
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from workers.errors import StoreUnavailable

# Without a server for this long, or without a reply from one, MongoDB counts as unavailable. Longer
# holds up threads in an outage, shorter defers events whenever MongoDB is slow.
SELECTION_TIMEOUT_MS = 2_000
SOCKET_TIMEOUT_MS = 5_000
# Errors that are not the event's fault: they pass with time or when an operator acts.
UNAVAILABLE_CODES = frozenset(
    {
        6,  # HostUnreachable
        7,  # HostNotFound
        13,  # Unauthorized
        18,  # AuthenticationFailed
        89,  # NetworkTimeout
        91,  # ShutdownInProgress
        100,  # UnsatisfiableWriteConcern
        112,  # WriteConflict
        134,  # ReadConcernMajorityNotAvailableYet
        189,  # PrimarySteppedDown
        262,  # ExceededTimeLimit
        9001,  # SocketException
        10058,  # not primary (legacy)
        10107,  # NotWritablePrimary
        11600,  # InterruptedAtShutdown
        11602,  # InterruptedDueToReplStateChange
        13435,  # NotPrimaryNoSecondaryOk
        13436,  # NotPrimaryOrSecondary
        14031,  # OutOfDiskSpace
    }
)

P = ParamSpec("P")
R = TypeVar("R")


def connect(url: str, threads: int) -> Database[dict[str, Any]]:
    """The database that the URL names (``fincart`` if it names none). Connects at its first use.

    Writes are confirmed by the majority and the journal. threads: how many use it at once.
    """
    client: MongoClient[dict[str, Any]] = MongoClient(
        url,
        serverSelectionTimeoutMS=SELECTION_TIMEOUT_MS,
        socketTimeoutMS=SOCKET_TIMEOUT_MS,
        connectTimeoutMS=SELECTION_TIMEOUT_MS,
        maxPoolSize=threads + 4,
        appname="fincart-gateway",
        tz_aware=True,
        # The queue repeats what may not have been written, and every write is safe to repeat. The
        # driver's retry works on replica sets only, yet pymongo 4.20 tries it on a single server
        # when a connection breaks in its handshake, and the error then looks like a bug of ours.
        retryWrites=False,
    )
    return client.get_default_database("fincart").with_options(
        write_concern=WriteConcern(w="majority", j=True, wtimeout=SOCKET_TIMEOUT_MS)
    )


def store_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turn the driver's errors that mean "unavailable" into ``StoreUnavailable``; others pass."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (ConnectionFailure, ExecutionTimeout, WTimeoutError) as error:
            raise StoreUnavailable(type(error).__name__) from error
        except OperationFailure as error:
            if error.code in UNAVAILABLE_CODES:
                raise StoreUnavailable(f"{type(error).__name__} {error.code}") from error
            raise

    return call


def answers(database: Database[dict[str, Any]]) -> bool:
    """Whether MongoDB answers a ping."""
    try:
        database.command("ping")
    except PyMongoError:
        return False
    return True
