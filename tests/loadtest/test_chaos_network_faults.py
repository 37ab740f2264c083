"""The proxy and the eyes of `make chaos`: bytes pass, or do not, and callers are recognised."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from loadtest.chaos.background import background
from loadtest.chaos.callers import Callers
from loadtest.chaos.network_faults import Wires


class Echo:
    """A server that gives back what it gets, and keeps it."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(4096):
                    self.got.append(data)
                    connection.sendall(data)
            except OSError:
                pass

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it was closed before
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def wires(echo: Echo) -> Iterator[Wires]:
    """With the same server behind both wires."""
    with background() as loop:
        wires = Wires(loop.loop, echo.port, echo.port)
        wires.start()
        yield wires
        wires.stop()


def connect(wires: Wires, store: str = "Redis") -> socket.socket:
    return socket.create_connection(("127.0.0.1", wires.port(store)), timeout=10)


def asked(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    return connection.recv(4096)


def test_bytes_pass_both_ways_until_the_client_is_through(wires: Wires) -> None:
    with connect(wires) as client:
        assert asked(client, b"one") == b"one"
        assert asked(client, b"two") == b"two"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b""


def test_a_cut_resets_every_connection_of_that_store_and_new_ones_work(wires: Wires) -> None:
    with connect(wires) as first, connect(wires) as second, connect(wires, "Mongo") as other:
        for client in (first, second, other):
            assert asked(client, b"x") == b"x"
        assert wires.cut("Redis") == 4  # both ends of two
        for client in (first, second):
            with pytest.raises(ConnectionResetError):
                client.recv(10)
        assert asked(other, b"y") == b"y"
    with connect(wires) as client:
        assert asked(client, b"z") == b"z"


def test_a_black_hole_takes_connections_answers_nothing_and_delivers_late(
    wires: Wires, echo: Echo
) -> None:
    with connect(wires) as before:
        assert asked(before, b"before") == b"before"
        hole = threading.Thread(target=wires.hole, args=("Redis", 1.5))
        hole.start()
        with connect(wires, "Mongo") as other:  # the hole has begun once its loop answers this
            assert asked(other, b"other") == b"other"
        with connect(wires) as within:
            before.sendall(b"held")
            within.sendall(b"new")
            before.settimeout(0.3)
            with pytest.raises(TimeoutError):
                before.recv(10)
            assert echo.got == [b"before", b"other"]
            hole.join(10)
            before.settimeout(10)
            assert before.recv(10) == b"held"
            assert within.recv(10) == b"new"


def test_a_store_that_is_gone_resets_whoever_connects(wires: Wires, echo: Echo) -> None:
    echo.close()
    with pytest.raises(ConnectionResetError), connect(wires) as client:
        client.recv(10)


def test_a_caller_is_recognised_by_its_connection_and_a_stranger_is_nobody(echo: Echo) -> None:
    asked_for: list[int] = []

    def candidates() -> list[int]:
        asked_for.append(1)
        return [os.getpid()]

    with socket.create_connection(("127.0.0.1", echo.port)) as client:
        port = client.getsockname()[1]
        callers = Callers(candidates)
        assert callers.pid(port, echo.port) == os.getpid()
        assert callers.pid(port, echo.port) == os.getpid()
        assert len(asked_for) == 1
        assert Callers(lambda: [os.getppid()]).pid(port, echo.port) == 0
    assert Callers(candidates).pid(1, echo.port) == 0
