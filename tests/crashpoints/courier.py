"""A courier of an edge process: it posts a signed event, and again until a reply is 2xx."""

from __future__ import annotations

import socket
from typing import Any, NamedTuple

from tests.crashpoints.crash_point import CrashPoint
from tests.crashpoints.environment import Environment, ProcessRun
from tests.crashpoints.processes import ProcessSpec
from tests.support.edge import bench_headers, event

EDGE = ProcessSpec("edge")
ID = "bench:evt_1"
BODY = event("evt_1")
POSTS_MAX = 3


class Delivery(NamedTuple):
    """first: the run of the edge process that received the first post.

    counted: whether Redis counted that post, as accepted or as a duplicate. stored: whether Redis
    had the event when that process ended. statuses: of the reply to each post; None: no reply.
    """

    first: ProcessRun
    counted: bool
    stored: bool
    statuses: list[int | None]


def deliver(environment: Environment, crash_point: CrashPoint | None = None) -> Delivery:
    """crash_point: of the first edge process; those of later posts are not killed."""
    before = _counted_posts(environment)
    first = _post(environment, crash_point)
    counted = _counted_posts(environment) > before
    stored = bool(environment.store.exists(environment.queue.keys.body(ID)))
    statuses = [first.observed]
    while statuses[-1] is None and len(statuses) < POSTS_MAX:
        statuses.append(_post(environment, None).observed)
    return Delivery(first, counted, stored, statuses)


def _counted_posts(environment: Environment) -> int:
    counts = environment.store.hmget(environment.queue.keys.stats, ["accepted", "duplicates"])
    return sum(int(count or 0) for count in counts)


def _post(environment: Environment, crash_point: CrashPoint | None) -> ProcessRun:
    ours, theirs = socket.socketpair()
    with ours:
        return environment.run(
            EDGE, crash_point, observe=lambda: _send_and_read(ours), courier=theirs
        )


def _send_and_read(edge: socket.socket) -> int | None:
    """The status of the reply; None if there is none."""
    headers: dict[str, Any] = {**bench_headers(BODY), "Content-Length": len(BODY)}
    lines = [
        "POST /v1/events/bench HTTP/1.1",
        "Host: edge",
        *(f"{name}: {text}" for name, text in headers.items()),
        "",
        "",
    ]
    edge.sendall("\r\n".join(lines).encode() + BODY)
    reply = b""
    try:
        while part := edge.recv(65_536):
            reply += part
    except ConnectionResetError:
        pass
    head, end, _ = reply.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]) if end else None
