"""The whole store as a value, and the fields that changed between two of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from redis import Redis

PREFIX = "{gw:0}:"

Snapshot = dict[str, Any]

# What every run of promote writes into stats; test_promote.py looks at them by themselves.
MARKS = frozenset({"promoted_at", "spare_until", "drain_at", "drain_done", "drain_per_second"})


def dump(store: Redis) -> Snapshot:
    """Every key (without the shard's prefix) with its content.

    A hash or sorted set is a dict, a list a list (left to right), a string its bytes. A key with a
    time to live appears once more, as ``<key> (ttl)`` with the ms that are left.
    """
    keys = sorted(store.scan_iter(count=10_000))
    pipe = store.pipeline(transaction=False)  # at maxmemory Redis refuses transactions
    for key in keys:
        pipe.type(key)
        pipe.pttl(key)
    reply = pipe.execute()
    for key, kind in zip(keys, reply[::2], strict=True):
        if kind == "hash":
            pipe.hgetall(key)
        elif kind == "list":
            pipe.lrange(key, 0, -1)
        elif kind == "zset":
            pipe.zrange(key, 0, -1, withscores=True)
        else:
            pipe.strlen(key)  # read below, because a pipeline decodes everything
    raw: Callable[..., bytes] = store.execute_command
    snapshot: Snapshot = {}
    for key, kind, ttl, content in zip(keys, reply[::2], reply[1::2], pipe.execute(), strict=True):
        name = key.removeprefix(PREFIX)
        if kind == "zset":
            content = {member: int(float(score)) for member, score in content}
        elif kind == "string":
            content = raw("GET", key, NEVER_DECODE=True)
        snapshot[name] = content
        if ttl >= 0:
            snapshot[f"{name} (ttl)"] = ttl
    return snapshot


def changes(before: Snapshot, after: Snapshot) -> Snapshot:
    """What is different, by key: the new value; of hashes and sorted sets the new values of the
    fields that differ; of ``stats`` the differences, less MARKS and the times at which secrets were
    seen. None stands for what is gone."""
    found: Snapshot = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if key == "stats":
            new = _differences(old or {}, new or {})
            if not new:
                continue
        elif isinstance(new, dict):
            old = old or {}
            fields = old.keys() | new.keys()
            new = {field: new.get(field) for field in fields if old.get(field) != new.get(field)}
        found[key] = new
    return found


def _differences(old: dict[str, str], new: dict[str, str]) -> dict[str, int]:
    counts = {name for name in old.keys() | new.keys() if not name.startswith("seen:")} - MARKS
    found = {name: int(new.get(name, 0)) - int(old.get(name, 0)) for name in counts}
    return {name: difference for name, difference in found.items() if difference}


class _Near:
    """Equal to every number, or decimal string of one, that is close enough."""

    def __init__(self, value: float, tolerance: float) -> None:
        self._value, self._tolerance = value, tolerance

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str) and not other.isdecimal():
            return False  # no exponent, no fraction: what Lua prints of a large number by itself
        return abs(float(str(other)) - self._value) <= self._tolerance

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self._value:.0f} ± {self._tolerance:.0f}>"


def now(plus_seconds: float = 0) -> Any:
    """A time in ms, ``plus_seconds`` from now."""
    return _Near((time.time() + plus_seconds) * 1000, 3000)


def fresh_gen() -> Any:
    """A fencing token that was drawn now."""
    return _Near(time.time() * 1e6, 3e6)
