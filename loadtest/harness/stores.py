"""Reads Redis and MongoDB by literal names, with nothing but their ordinary clients."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from pymongo import MongoClient
from redis import Redis

from loadtest.harness.accounts import Document, Queue

PREFIX = "{gw:0}:"
LANES = ("lookup", "routing")
DATABASE = "fincart"
Client = Any  # redis-py's annotations cover its blocking and its asyncio clients at once


def redis(url: str) -> Client:
    """A blocking client. Bytes, for bodies are bytes."""
    return Redis.from_url(url, protocol=2, socket_timeout=5, socket_connect_timeout=2)


def mongo(url: str, seconds: float) -> MongoClient[Document]:
    """seconds: how long to wait for a server that does not answer.

    Journaled, or a shipment made just before mongod is killed would not be there afterwards.
    """
    return MongoClient(
        url,
        journal=True,
        socketTimeoutMS=10_000,
        serverSelectionTimeoutMS=round(seconds * 1000),
        tz_aware=True,
    )


def waiting(client: Client) -> dict[str, int]:
    """Where events are that are neither done nor dead, and how many."""
    places = {"retrying": client.zcard(PREFIX + "retry")}
    for lane in LANES:
        places[f"in work, {lane}"] = client.zcard(f"{PREFIX}locks:{lane}")
        places[f"waiting, {lane}"] = sum(
            client.llen(key) for key in client.scan_iter(f"{PREFIX}ready:{lane}:*", count=1000)
        )
    return {place: count for place, count in places.items() if count}


def read_queue(client: Client) -> Queue:
    """All of it, once nothing moves any more."""
    hashes, bodies = {}, {}
    places: dict[str, list[str]] = defaultdict(list)
    for raw in client.scan_iter(PREFIX + "*", count=5_000):
        name = raw.decode()[len(PREFIX) :]
        kind, _, rest = name.partition(":")
        if kind == "event":
            hashes[rest] = _text(client.hgetall(raw))
        elif kind == "body":
            bodies[rest] = client.get(raw) or b""
        elif kind == "ready":
            for id in client.lrange(raw, 0, -1):
                places[id.decode()].append(name)
        elif kind in ("locks", "retry", "dead", "done"):
            for id in client.zrange(raw, 0, -1):
                places[id.decode()].append(name)
    return Queue(hashes, dict(places), bodies, _text(client.hgetall(PREFIX + "stats")))


def read_mongo(client: MongoClient[Document]) -> tuple[dict[str, Document], dict[str, Document]]:
    """The ledger and the shipments."""
    database = client[DATABASE]
    return (
        {d["_id"]: d for d in database["events"].find()},
        {d["_id"]: d for d in database["shipments"].find()},
    )


def _text(fields: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
