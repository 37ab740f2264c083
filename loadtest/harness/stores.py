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


def redis(port: int) -> Client:
    """A client of the server itself, past the proxy. Bytes, for bodies are bytes."""
    return Redis(
        host="127.0.0.1", port=port, protocol=2, socket_timeout=5, socket_connect_timeout=2
    )


def mongo(port: int, seconds: float) -> MongoClient[Document]:
    """The same for MongoDB. seconds: how long to wait for a server that does not answer.

    Journaled, or a shipment made just before mongod is killed would not be there afterwards.
    """
    return MongoClient(
        f"mongodb://127.0.0.1:{port}/{DATABASE}",
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


def whereabouts(client: Client) -> list[tuple[str, int]]:
    """The same in few words: what they do, and how many."""
    places = waiting(client)
    return [
        (verb, sum(count for place, count in places.items() if place.startswith(start)))
        for verb, start in (("wait", "waiting"), ("in work", "in work"), ("retry", "retrying"))
    ]


def read_queue(client: Client) -> Queue:
    """All of it. To be read when nothing moves any more."""
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
