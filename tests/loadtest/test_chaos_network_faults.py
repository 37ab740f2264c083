"""The proxies of `make chaos`: bytes pass, are held back, or the connection is reset."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from loadtest.chaos.background import background
from loadtest.chaos.network_faults import NetworkFaults


class Echo:
    """A server that sends back what it receives, and keeps it."""

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
def network(echo: Echo) -> Iterator[NetworkFaults]:
    """With the same server behind both proxies."""
    with background() as loop:
        network = NetworkFaults(loop, echo.port, echo.port)
        network.start()
        yield network
        network.stop()


def connect(network: NetworkFaults, store: str = "Redis") -> socket.socket:
    return socket.create_connection(("127.0.0.1", network.port(store)), timeout=10)


def asked(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    return connection.recv(4096)


def test_bytes_pass_both_ways_until_the_client_closes(network: NetworkFaults) -> None:
    with connect(network) as client:
        assert asked(client, b"one") == b"one"
        assert asked(client, b"two") == b"two"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b""


def test_a_reset_ends_every_connection_of_that_store_and_new_ones_work(
    network: NetworkFaults,
) -> None:
    with connect(network) as first, connect(network) as second, connect(network, "Mongo") as other:
        for client in (first, second, other):
            assert asked(client, b"x") == b"x"
        assert network.reset("Redis") == 4  # both ends of two
        for client in (first, second):
            with pytest.raises(ConnectionResetError):
                client.recv(10)
        assert asked(other, b"y") == b"y"
    with connect(network) as client:
        assert asked(client, b"z") == b"z"


def test_a_partition_accepts_connections_answers_nothing_and_delivers_late(
    network: NetworkFaults, echo: Echo
) -> None:
    with connect(network) as before:
        assert asked(before, b"before") == b"before"
        partition = threading.Thread(target=network.partition, args=("Redis", 1.5))
        partition.start()
        # The partition has begun once its event loop answers this.
        with connect(network, "Mongo") as other:
            assert asked(other, b"other") == b"other"
        with connect(network) as within:
            before.sendall(b"held")
            within.sendall(b"new")
            before.settimeout(0.3)
            with pytest.raises(TimeoutError):
                before.recv(10)
            assert echo.got == [b"before", b"other"]
            partition.join(10)
            before.settimeout(10)
            assert before.recv(10) == b"held"
            assert within.recv(10) == b"new"


def test_a_store_that_is_down_resets_new_connections(network: NetworkFaults, echo: Echo) -> None:
    echo.close()
    with pytest.raises(ConnectionResetError), connect(network) as client:
        client.recv(10)
