"""A TLS proxy in front of a real Redis, like stunnel or a managed service."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType

CERTIFICATE = Path(__file__).with_name("worthless.pem")  # self-signed, with its key


class TlsProxy:
    """port: on 127.0.0.1."""

    def __init__(self, server_url: str) -> None:
        self._server = server_url.removeprefix("unix://")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(CERTIFICATE)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> TlsProxy:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            client = self._context.wrap_socket(plain, server_side=True)
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            for way in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=way, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.close()
