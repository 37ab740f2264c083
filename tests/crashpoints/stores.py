"""The contents of both stores as a value that can be read and restored."""

from __future__ import annotations

from typing import Any, NamedTuple

from pymongo.database import Database
from redis import Redis

Document = dict[str, Any]
COLLECTIONS = ("events", "shipments", "orders")


class Contents(NamedTuple):
    """keys: DUMPs, without the keys of live processes, the only ones with a TTL. documents: by
    collection."""

    keys: dict[bytes, bytes]
    documents: dict[str, list[Document]]


def contents(redis: Redis, database: Database[Document]) -> Contents:
    """redis: a client that does not decode replies."""
    raw: Any = redis
    names = [name for name in raw.scan_iter() if not name.startswith(b"gw:proc:")]
    return Contents(
        {name: raw.dump(name) for name in names},
        {name: list(database[name].find()) for name in COLLECTIONS},
    )


def fill(redis: Redis, database: Database[Document], there: Contents) -> None:
    """Both hold this and nothing else."""
    clear(redis, database)
    pipe = redis.pipeline(transaction=False)
    for key, content in there.keys.items():
        pipe.restore(key.decode(), 0, content)
    pipe.execute()
    for name, documents in there.documents.items():
        if documents:
            database[name].insert_many(documents)


def clear(redis: Redis, database: Database[Document]) -> None:
    """Empty both stores; Redis keeps its scripts."""
    redis.flushall()
    for name in COLLECTIONS:
        database[name].delete_many({})
