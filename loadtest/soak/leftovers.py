"""What is left in Redis when every event is done and its tombstone has expired."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from scheduler.connection import RedisConnection
from scheduler.keys import LANES, Keys

FOR_EVER = -1  # as PTTL has it


def remaining(connection: RedisConnection) -> dict[str, int]:
    """Key -> milliseconds that it has to live, FOR_EVER for one without an end."""
    found, cursor = {}, b"0"
    while True:
        cursor, names = connection.command("SCAN", cursor, "COUNT", 500)
        for name in names:
            left = int(connection.command("PTTL", name))
            if left >= FOR_EVER:  # else it has just ended
                found[name.decode()] = left
        if cursor == b"0":
            return found


def unknown(remaining: Mapping[str, int], sources: Collection[str]) -> list[str]:
    """The keys that should not remain. Counters, wake-up tokens, the breaker, a token bucket for
    each source and the running processes may remain after any number of events. Pure."""
    keys = Keys()
    stay = {
        keys.stats,
        keys.breaker,
        keys.probes,
        keys.wake_scheduler,
        *(keys.wake(lane) for lane in LANES),
        *(keys.quota(source) for source in sources),
    }
    process = keys.process("")
    return sorted(
        name
        for name, left in remaining.items()
        if name not in stay and not (name.startswith(process) and left > FOR_EVER)
    )
