"""A connection to MongoDB that breaks in its handshake is an outage, and later writes succeed."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from tests.support.mongo_server import MongoServer
from tests.support.samples import reserved
from tests.support.servers import await_true
from workers import mongo
from workers.errors import StoreUnavailable
from workers.ledger import Ledger

_RESET = struct.pack("ii", 1, 0)
_numbers = itertools.count(1)


class HandshakeProxy:
    """Forwards connections to mongod, but resets the next ``resets`` of them at their first
    message, the driver's handshake."""

    def __init__(self, port: int) -> None:
        self.resets = 0
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            handshake = client.recv(65_536)
            if self.resets:
                self.resets -= 1
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                return
            with socket.create_connection(("127.0.0.1", self._upstream)) as server:
                server.sendall(handshake)
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join()

    def close(self) -> None:
        self._listener.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(mongod: MongoServer) -> Iterator[HandshakeProxy]:
    proxy = HandshakeProxy(int(mongod.url.rpartition(":")[2]))
    yield proxy
    proxy.close()


def test_a_write_whose_handshake_is_reset_succeeds_or_raises_store_unavailable(
    proxy: HandshakeProxy,
) -> None:
    # No connection stays idle, so that each write starts with a handshake.
    url = f"mongodb://127.0.0.1:{proxy.port}/test_handshake_{next(_numbers)}?maxIdleTimeMS=1"
    database = mongo.connect(url, 1)
    ledger, event = Ledger(database), reserved()
    try:
        ledger.claim(event, {"shipment_id": "SHP-1"})
        proxy.resets = 1

        def was_reset() -> bool:
            with contextlib.suppress(StoreUnavailable):  # the worker defers the event
                ledger.mark_applied(event)
            return proxy.resets == 0

        await_true(was_reset, 10, "a handshake")
        ledger.close(event, "recorded", applied=True)
        assert ledger.is_done(event.id)
    finally:
        database.client.drop_database(database.name)
        database.client.close()
