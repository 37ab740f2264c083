"""Rounds of cases against one edge: many at once, then Redis is compared with what was answered."""

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
from tests.support.raw_http import Talk, talk

ROUND = 2_000  # cases between two looks at Redis and at the workers
CONNECTIONS = 12  # at once
PATIENCE = 10.0  # seconds that a connection may stay open after the client has ended its side


class Bad(Exception):
    """A case that the edge did not stand; ``str()`` says why."""

    def __init__(self, case: Case, why: str) -> None:
        super().__init__(why)
        self.case = case


@dataclass
class Tally:
    """Connections by kind of case and by what was answered."""

    table: Counter[tuple[str, str]] = field(default_factory=Counter)
    stored: int = 0

    def add(self, case: Case, heard: Talk) -> None:
        answers = " ".join(str(status) for status in heard.statuses) or "closed"
        self.table[case.kind, answers] += 1


def fuzz(
    edge: Edge,
    store: Redis,
    seed: int,
    numbers: range,
    said: Callable[[int, float], None] = lambda done, seconds: None,
) -> Tally:
    """Send the cases of those numbers. store: answers bytes. Raises ``Bad`` for the first bad one.

    said: told after each round how many are done, in how many seconds.
    """
    tally, begin, before = Tally(), time.monotonic(), edge.workers()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for start in range(numbers.start, numbers.stop, ROUND):
            store.flushall()
            cases = [make(seed, n) for n in range(start, min(start + ROUND, numbers.stop))]
            pairs = list(zip(cases, pool.map(lambda case: send(edge, case), cases), strict=True))
            _check_workers(edge, before, pairs)
            for case, heard in pairs:
                why = fault(case, heard)
                if why:
                    raise Bad(case, why)
                tally.add(case, heard)
            tally.stored += _check_store(store, pairs)
            said(start + len(cases) - numbers.start, time.monotonic() - begin)
    return tally


def send(edge: Edge, case: Case) -> Talk:
    """What the edge answers to one case. Raises ``Bad`` for an answer that is none."""
    try:
        return talk(edge, *case.pieces, half_close=True, patience=PATIENCE)
    except (AssertionError, ValueError) as error:
        raise Bad(case, f"an answer that is none: {error}") from None


def _check_workers(edge: Edge, before: list[int], pairs: Iterable[tuple[Case, Talk]]) -> None:
    if edge.workers() == before:
        return
    for case, heard in pairs:  # which one was it? One that was not answered, surely
        if not heard.answers:
            before = edge.workers()
            send(edge, case)
            time.sleep(0.5)
            if edge.workers() != before:
                raise Bad(case, "a worker was restarted")
    first, *_, last = (case for case, _ in pairs)
    raise Bad(
        first,
        "a worker was restarted by what this and the cases after it left behind; "
        f"again: ONLY={first.number}-{last.number}",
    )


def _check_store(store: Redis, pairs: list[tuple[Case, Talk]]) -> int:
    """Every 2xx lies in Redis, byte for byte; nothing lies there that was not signed."""
    prefix = "{gw:0}:body:"
    keys: list[bytes] = sorted(store.scan_iter(prefix + "*", count=1000))
    values: list[Any] = store.mget(keys) if keys else []
    bodies: dict[str, bytes] = {
        key.decode().removeprefix(prefix): body for key, body in zip(keys, values, strict=True)
    }
    proofs: dict[str, set[bytes]] = {}
    for case, heard in pairs:
        for one in signed(case.sent):
            for id in one.ids:
                proofs.setdefault(id, set()).add(one.body)
        for id in accepted(heard):
            if id not in bodies:
                raise Bad(case, f"{id!r} was acknowledged and does not lie in Redis")
    for id, body in bodies.items():
        if body not in proofs.get(id, set()):
            raise Bad(pairs[0][0], f"Redis holds {body[:200]!r} as {id!r}, which nobody signed")
    return len(bodies)
