"""The connection to MongoDB, and which of its errors mean that it is away."""

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

SELECTION_MS = 2_000  # how long to look for a server before it counts as away
SOCKET_MS = 5_000  # a stalled server counts as away as well
# Not authorised, authentication failed, disk full, no majority, and the many ways to say "shutting
# down" or "not ready": nothing is wrong with the event, and an operator or time will mend it.
AWAY_CODES = frozenset(
    {
        6,
        7,
        13,
        18,
        89,
        91,
        100,
        112,
        134,
        189,
        262,
        9001,
        10058,
        10107,
        11600,
        11602,
        13435,
        13436,
        14031,
    }
)

P = ParamSpec("P")
R = TypeVar("R")


def connect(url: str, threads: int) -> Database[dict[str, Any]]:
    """The database that the URL names (``fincart`` if it names none). Connects when first used.

    Writes are confirmed by the majority and the journal. threads: how many use it at once.
    """
    client: MongoClient[dict[str, Any]] = MongoClient(
        url,
        serverSelectionTimeoutMS=SELECTION_MS,
        socketTimeoutMS=SOCKET_MS,
        connectTimeoutMS=SELECTION_MS,
        maxPoolSize=threads + 4,
        appname="fincart-gateway",
        tz_aware=True,
        # The queue repeats what may not have been written, and every write stands a repeat. The
        # driver's own second try only works on replica sets, and pymongo 4.20 makes it on a single
        # server too when a connection breaks in its handshake: an error that looks like our fault.
        retryWrites=False,
    )
    return client.get_default_database("fincart").with_options(
        write_concern=WriteConcern(w="majority", j=True, wtimeout=SOCKET_MS)
    )


def store_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turn the driver's errors that mean "away" into ``StoreUnavailable``; others pass."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (ConnectionFailure, ExecutionTimeout, WTimeoutError) as error:
            raise StoreUnavailable(type(error).__name__) from error
        except OperationFailure as error:
            if error.code in AWAY_CODES:
                raise StoreUnavailable(f"{type(error).__name__} {error.code}") from error
            raise

    return call


def answers(database: Database[dict[str, Any]]) -> bool:
    """Does MongoDB answer?"""
    try:
        database.command("ping")
    except PyMongoError:
        return False
    return True
