"""A connection to MongoDB that breaks while it is being made: the next write goes as any other."""

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


class Doorway:
    """Passes connections on to mongod; ``slams`` of those to come are reset at their first word,
    which the driver sends to shake hands."""

    def __init__(self, port: int) -> None:
        self.slams = 0
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._welcome, args=(client,), daemon=True).start()

    def _welcome(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            word = client.recv(65_536)
            if self.slams:
                self.slams -= 1
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                return
            with socket.create_connection(("127.0.0.1", self._upstream)) as server:
                server.sendall(word)
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
def doorway(mongod: MongoServer) -> Iterator[Doorway]:
    doorway = Doorway(int(mongod.url.rpartition(":")[2]))
    yield doorway
    doorway.close()


def test_a_write_whose_connection_broke_in_its_handshake_is_done_or_told_as_an_outage(
    doorway: Doorway,
) -> None:
    # Nothing is kept idle, so that each write shakes hands.
    url = f"mongodb://127.0.0.1:{doorway.port}/test_handshake_{next(_numbers)}?maxIdleTimeMS=1"
    database = mongo.connect(url, 1)
    ledger, event = Ledger(database), reserved()
    try:
        ledger.claim(event, {"shipment_id": "SHP-1"})
        doorway.slams = 1

        def slammed() -> bool:
            with contextlib.suppress(
                StoreUnavailable
            ):  # the worker comes back, and burns no attempt
                ledger.mark_applied(event)
            return doorway.slams == 0

        await_true(slammed, 10, "a handshake")
        ledger.close(event, "recorded", applied=True)
        assert ledger.is_done(event.id)
    finally:
        database.client.drop_database(database.name)
        database.client.close()
