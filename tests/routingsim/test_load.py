"""Two thousand calls at once. Answers may be ten times as late as SLACK, for busy machines."""

from __future__ import annotations

import asyncio
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import urllib3

CALLS = 2000
LATENCY_SECONDS = 2.0  # the default of the service
SLACK = 0.05  # the share of the latency that an answer may be late
CONDITION_SECONDS = 60.0

Start = Callable[..., tuple[Any, str]]


pytestmark = pytest.mark.usefixtures("many_files")


def request(key: str) -> bytes:
    return (
        f"POST /v1/routes HTTP/1.1\r\nHost: sim\r\nIdempotency-Key: {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    ).encode()


def call_all_at_once(url: str, keys: list[str]) -> list[tuple[bytes, float]]:
    """The answer of each call, and the seconds from sending to answer.

    A bare selector on open connections: an HTTP client in Python needs a quarter of the
    latency to send so many calls, and would measure itself.
    """
    address = urlsplit(url)
    waiting = selectors.DefaultSelector()
    for key in keys:
        connection = socket.create_connection((address.hostname, address.port))
        waiting.register(connection, selectors.EVENT_READ, request(key))
    sent_at: dict[int, float] = {}
    for entry in waiting.get_map().values():
        sent_at[entry.fd] = time.monotonic()
        assert isinstance(entry.fileobj, socket.socket)
        entry.fileobj.sendall(entry.data)
    answers: list[tuple[bytes, float]] = []
    while len(answers) < len(keys):
        ready = waiting.select(timeout=CONDITION_SECONDS)
        assert ready, f"{len(keys) - len(answers)} calls were never answered"
        for entry, _ in ready:
            assert isinstance(entry.fileobj, socket.socket)
            seconds = time.monotonic() - sent_at[entry.fd]
            answers.append((entry.fileobj.recv(4096), seconds))
            waiting.unregister(entry.fileobj)
            entry.fileobj.close()
    return answers


def test_two_thousand_calls_at_once_each_take_about_the_latency(start: Start) -> None:
    _, url = start()
    answers = call_all_at_once(url, [f"bench:evt_{number}" for number in range(CALLS)])
    counters = urllib3.request("GET", f"{url}/stats").json()
    took = sorted(seconds for _, seconds in answers)
    p50, p99 = took[CALLS // 2], took[CALLS * 99 // 100]
    print(f"\nasked {LATENCY_SECONDS} s: p50 {p50:.3f} s, p99 {p99:.3f} s, max {took[-1]:.3f} s")
    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer, _ in answers)
    assert len({answer.partition(b"\r\n\r\n")[2] for answer, _ in answers}) == CALLS
    assert took[0] >= LATENCY_SECONDS
    assert took[-1] <= LATENCY_SECONDS * (1 + 10 * SLACK)
    assert counters == {
        "calls": CALLS,
        "succeeded": CALLS,
        "failed": 0,
        "abandoned": 0,
        "keys": CALLS,
        "repeats": 0,
        "max_concurrent": CALLS,
        "in_flight": 0,
    }


def client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


async def call(session: aiohttp.ClientSession, url: str, key: str) -> None:
    headers = {"Idempotency-Key": key}
    async with session.post(f"{url}/v1/routes", headers=headers, json={}) as response:
        await response.read()


async def stats_when(
    session: aiohttp.ClientSession, url: str, counter: str, value: int
) -> dict[str, int]:
    """The counters once this one has this value."""
    async with asyncio.timeout(CONDITION_SECONDS):
        while True:
            async with session.get(f"{url}/stats") as response:
                counters: dict[str, int] = await response.json()
            if counters[counter] == value:
                return counters


def test_two_thousand_calls_are_in_flight_at_once_and_end_when_their_clients_disconnect(
    start: Start,
) -> None:
    async def run(url: str) -> dict[str, int]:
        async with client() as watcher:
            async with client() as session:
                calls = [
                    asyncio.create_task(call(session, url, f"bench:evt_{number}"))
                    for number in range(CALLS)
                ]
                await stats_when(watcher, url, "in_flight", CALLS)
                for task in calls:
                    task.cancel()
                await asyncio.gather(*calls, return_exceptions=True)
            return await stats_when(watcher, url, "in_flight", 0)

    _, url = start(ROUTINGSIM_LATENCY_MS="3600000")
    counters = asyncio.run(run(url))
    assert counters["max_concurrent"] == counters["abandoned"] == counters["failed"] == CALLS
    assert counters["succeeded"] == 0
