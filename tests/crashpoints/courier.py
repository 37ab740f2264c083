"""A courier with a connection to an edge process: it posts a signed event, and again until it is
told 2xx."""

from __future__ import annotations

import socket
from typing import Any, NamedTuple

from tests.crashpoints.crash_point import Death
from tests.crashpoints.environment import Lived, World
from tests.crashpoints.processes import Life
from tests.support.edge import bench_headers, event

EDGE = Life("edge")
ID = "bench:evt_1"
BODY = event("evt_1")
POSTS_MAX = 3


class Delivery(NamedTuple):
    """first: the life of the edge process that was posted to first. counted: whether Redis had
    counted that post, as accepted or as a duplicate, when it ended; kept: whether the event was
    there. statuses: what the courier was told, post by post; None: it heard nothing."""

    first: Lived
    counted: bool
    kept: bool
    statuses: list[int | None]


def deliver(world: World, death: Death | None = None) -> Delivery:
    """As a courier does. death: of the first edge process; those after it are undisturbed."""
    before = _posts(world)
    first = _post(world, death)
    counted = _posts(world) > before
    kept = bool(world.store.exists(world.queue.keys.body(ID)))
    statuses = [first.heard]
    while statuses[-1] is None and len(statuses) < POSTS_MAX:
        statuses.append(_post(world, None).heard)
    return Delivery(first, counted, kept, statuses)


def _posts(world: World) -> int:
    counts = world.store.hmget(world.queue.keys.stats, ["accepted", "duplicates"])
    return sum(int(count or 0) for count in counts)


def _post(world: World, death: Death | None) -> Lived:
    ours, theirs = socket.socketpair()
    with ours:
        return world.lead(EDGE, death, outside=lambda: _ask(ours), courier=theirs)


def _ask(edge: socket.socket) -> int | None:
    headers: dict[str, Any] = {**bench_headers(BODY), "Content-Length": len(BODY)}
    lines = [
        "POST /v1/events/bench HTTP/1.1",
        "Host: edge",
        *(f"{name}: {text}" for name, text in headers.items()),
        "",
        "",
    ]
    edge.sendall("\r\n".join(lines).encode() + BODY)
    answer = b""
    try:
        while part := edge.recv(65_536):
            answer += part
    except ConnectionResetError:
        pass
    head, end, _ = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]) if end else None
