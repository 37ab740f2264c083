"""The process: its settings, its start and its end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import urllib3

Start = Callable[..., tuple["subprocess.Popen[str]", str]]

CALL = b"POST /v1/routes HTTP/1.1\r\nHost: sim\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n"


def test_it_accepts_calls_once_it_has_printed_its_address(start: Start) -> None:
    _, url = start()
    assert urllib3.request("GET", f"{url}/healthz").status == 200
    assert urllib3.request("GET", f"{url}/behaviour").json()["latency_ms"] == 2000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROUTINGSIM_BIND", ""),
        ("ROUTINGSIM_BIND", "8090"),
        ("ROUTINGSIM_BIND", ":8090"),
        ("ROUTINGSIM_BIND", "127.0.0.1:"),
        ("ROUTINGSIM_BIND", "127.0.0.1:http"),
        ("ROUTINGSIM_BIND", "127.0.0.1:65536"),
        ("ROUTINGSIM_LATENCY_MS", ""),
        ("ROUTINGSIM_LATENCY_MS", "2s"),
        ("ROUTINGSIM_LATENCY_MS", "-1"),
        ("ROUTINGSIM_LATENCY_MS", "3600001"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(
    start: Start, name: str, value: str
) -> None:
    process, _ = start(**{name: value})
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 2
    assert stderr.count("\n") == 1
    assert name in stderr
    assert repr(value) in stderr


def test_a_port_that_is_taken_is_named_in_one_line(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        process, _ = start(ROUTINGSIM_BIND=bind)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    assert stderr.count("\n") == 1
    assert bind in stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_and_soon_with_calls_in_flight(
    start: Start, wait_for: Callable[[str, str, int], None], number: signal.Signals
) -> None:
    process, url = start(ROUTINGSIM_LATENCY_MS="3600000")
    address = urlsplit(url)
    held = [socket.create_connection((address.hostname, address.port)) for _ in range(50)]
    for connection in held:
        connection.sendall(CALL)
    wait_for(url, "in_flight", len(held))
    process.send_signal(number)
    _, stderr = process.communicate(timeout=10)  # it takes about 0.3 s
    assert (process.returncode, stderr) == (0, "")
    for connection in held:
        connection.close()


if sys.platform == "linux":  # only Linux reports when a request arrived

    def test_the_latency_counts_from_the_arrival_of_the_call_however_busy_the_process(
        start: Start,
    ) -> None:
        process, url = start(ROUTINGSIM_LATENCY_MS="2000")
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
            process.send_signal(signal.SIGSTOP)
            sent = time.monotonic()
            connection.sendall(CALL)
            time.sleep(1.0)  # the call stays unread for this long
            process.send_signal(signal.SIGCONT)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            took = time.monotonic() - sent
        assert 2.0 <= took < 2.8
