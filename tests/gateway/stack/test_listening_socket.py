"""Connections made while the edge is down wait in the kernel until the next edge serves them."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.stack import home_directory, orphans, readiness
from gateway.stack.stack import Stack
from tests.support.servers import await_true

TIMEOUT_SECONDS = 60.0
STUBBORN = """[program:stubborn]
command={python} -c "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
priority=5
stopwaitsecs=600
"""  # noqa: E501


def answers(stack: Stack) -> bool:
    return readiness.answers(f"{stack.gateway_url}/healthz")


@pytest.fixture(params=["127.0.0.1", "[::1]", "localhost"])
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Only an edge; it starts without its stores."""
    (port,) = home_directory.free_ports(1)
    settings = {
        "GATEWAY_BIND": f"{request.param}:{port}",
        "WEB_CONCURRENCY": "1",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "MONGO_URL": "mongodb://127.0.0.1:1/x",
        "ROUTING_URL": "http://127.0.0.1:1",
    }
    with Stack.temporary(env=settings, ready=answers, shared=["gateway"]) as stack:
        yield stack


v4 = pytest.mark.parametrize("stack", ["127.0.0.1"], indirect=True)


class WaitingClient:
    """A client that has sent its request and waits for the response."""

    def __init__(self, stack: Stack) -> None:
        self._connection = http.client.HTTPConnection(
            stack.gateway_url.removeprefix("http://"), timeout=TIMEOUT_SECONDS
        )
        self._connection.request("GET", "/healthz")

    def status(self) -> int:
        with contextlib.closing(self._connection):
            response = self._connection.getresponse()
            response.read()
        return response.status


def test_a_connection_made_while_the_edge_is_stopped_is_answered_after_its_start(
    stack: Stack,
) -> None:
    assert "gateway: stopped" in stack.ctl("stop", "gateway")
    client = WaitingClient(stack)
    assert "gateway: started" in stack.ctl("start", "gateway")
    assert client.status() == 200
    assert "gateway " in stack.ctl("status", "gateway")  # the name that operators know


@v4
def test_waiting_connections_survive_supervisorctl_update(stack: Stack) -> None:
    stack.ctl("stop", "gateway")
    client = WaitingClient(stack)
    path = stack.home / "conf" / "supervisor.d" / "gateway.conf"
    text = path.read_text()
    path.unlink()  # it is a link to the product's file
    path.write_text(text.replace("startsecs=1", "startsecs=0"))
    assert "gateway: updated process group" in stack.ctl("update")
    assert client.status() == 200


@v4
def test_waiting_connections_survive_a_killed_gunicorn(stack: Stack) -> None:
    master = int(stack.ctl("pid", "gateway"))
    (worker,) = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    os.kill(master, signal.SIGKILL)
    # Connections that the worker has accepted are lost with it: wait until it has exited.
    await_true(lambda: not orphans.alive(int(worker)), TIMEOUT_SECONDS, "the exit of the worker")
    assert WaitingClient(stack).status() == 200
    assert int(stack.ctl("pid", "gateway")) != master


@v4
def test_an_edge_starts_although_a_killed_supervisord_left_orphans(stack: Stack) -> None:
    pid = stack.supervisor.pid()
    assert pid is not None
    old = int(stack.ctl("pid", "gateway"))
    os.kill(pid, signal.SIGKILL)
    stack.start()
    assert int(stack.ctl("pid", "gateway")) != old
    assert "cannot listen on" not in (stack.home / ".run" / "supervisord.log").read_text()
    assert WaitingClient(stack).status() == 200


@v4
def test_connections_are_refused_while_everything_is_stopping(
    stack: Stack,
) -> None:
    path = stack.home / "conf" / "supervisor.d" / "stubborn.conf"
    path.write_text(STUBBORN.format(python=sys.executable))
    stack.ctl("update")
    stubborn, supervisord = int(stack.ctl("pid", "stubborn")), stack.supervisor.pid()
    assert supervisord is not None
    os.kill(supervisord, signal.SIGTERM)
    host, _, port = stack.env["GATEWAY_BIND"].rpartition(":")

    def refused() -> bool:
        try:
            socket.create_connection((host, int(port)), TIMEOUT_SECONDS).close()
        except ConnectionRefusedError:
            return True
        return False

    await_true(refused, TIMEOUT_SECONDS, "a refused connection")
    assert orphans.alive(supervisord)
    os.kill(stubborn, signal.SIGKILL)
