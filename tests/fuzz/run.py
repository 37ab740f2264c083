"""Sends rounds of cases to one edge, and after each round compares Redis with the answers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from tests.fuzz.cases import Case, make
from tests.fuzz.oracle import accepted, fault, signed
from tests.support.edge import Edge
from tests.support.raw_http import Exchange, exchange

ROUND = 2_000  # cases between two checks of Redis and of the worker processes
CONNECTIONS = 12  # at the same time
CLOSE_TIMEOUT_SECONDS = 10.0  # for the server to close after the client has closed its side


class BadCase(Exception):
    """A case that the edge handled wrongly; ``str()`` is the reason."""

    def __init__(self, case: Case, why: str) -> None:
        super().__init__(why)
        self.case = case


@dataclass
class Tally:
    """Numbers of connections by kind of case and by answers. stored: events in Redis."""

    table: Counter[tuple[str, str]] = field(default_factory=Counter)
    stored: int = 0

    def add(self, case: Case, result: Exchange) -> None:
        answers = " ".join(str(status) for status in result.statuses) or "closed"
        self.table[case.kind, answers] += 1


def fuzz(
    edge: Edge,
    store: Redis,
    seed: int,
    numbers: range,
    progress: Callable[[int, float], None] = lambda done, seconds: None,
) -> Tally:
    """Send the cases with those numbers. Raises ``BadCase`` for the first bad one.

    store: a client that returns bytes. progress: called after each round with the number of cases
    sent and the seconds since the start.
    """
    tally, begin, before = Tally(), time.monotonic(), edge.workers()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for start in range(numbers.start, numbers.stop, ROUND):
            store.flushall()
            cases = [make(seed, n) for n in range(start, min(start + ROUND, numbers.stop))]
            pairs = list(zip(cases, pool.map(lambda case: send(edge, case), cases), strict=True))
            _check_workers(edge, before, pairs)
            for case, result in pairs:
                why = fault(case, result)
                if why:
                    raise BadCase(case, why)
                tally.add(case, result)
            tally.stored += _check_store(store, pairs)
            progress(start + len(cases) - numbers.start, time.monotonic() - begin)
    return tally


def send(edge: Edge, case: Case) -> Exchange:
    """Send one case. Raises ``BadCase`` for an answer that is not HTTP."""
    try:
        return exchange(edge, *case.pieces, half_close=True, timeout_seconds=CLOSE_TIMEOUT_SECONDS)
    except (AssertionError, ValueError) as error:
        raise BadCase(case, f"the answer is not HTTP: {error}") from None


def _check_workers(edge: Edge, before: list[int], pairs: Iterable[tuple[Case, Exchange]]) -> None:
    if edge.workers() == before:
        return
    for case, result in pairs:  # the case is one of those without an answer
        if not result.answers:
            before = edge.workers()
            send(edge, case)
            time.sleep(0.5)
            if edge.workers() != before:
                raise BadCase(case, "a worker was restarted")
    first, *_, last = (case for case, _ in pairs)
    raise BadCase(
        first,
        "a worker was restarted by this and the following cases together; "
        f"to repeat them: ONLY={first.number}-{last.number}",
    )


def _check_store(store: Redis, pairs: list[tuple[Case, Exchange]]) -> int:
    """Redis holds every event that was answered 2xx, byte for byte, and none that is not signed."""
    prefix = "{gw:0}:body:"
    keys: list[bytes] = sorted(store.scan_iter(prefix + "*", count=1000))
    values: list[Any] = store.mget(keys) if keys else []
    bodies: dict[str, bytes] = {
        key.decode().removeprefix(prefix): body for key, body in zip(keys, values, strict=True)
    }
    proofs: dict[str, set[bytes]] = {}
    for case, result in pairs:
        for one in signed(case.sent):
            for id in one.ids:
                proofs.setdefault(id, set()).add(one.body)
        for id in accepted(result):
            if id not in bodies:
                raise BadCase(case, f"{id!r} was acknowledged but is not in Redis")
    for id, body in bodies.items():
        if body not in proofs.get(id, set()):
            raise BadCase(pairs[0][0], f"Redis holds {body[:200]!r} as {id!r}, which is not signed")
    return len(bodies)
