"""A proxy in front of a real Redis that can delay, truncate and close connections."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path
from types import TracebackType


class Proxy:
    """Connects clients of its unix socket to a Redis. url: for the client."""

    def __init__(self, server_url: str, folder: Path) -> None:
        self._server = server_url.removeprefix("unix://")
        path = folder / "p.sock"
        self.url = f"unix://{path}"
        self.connections = 0
        self.delay_seconds = 0.0  # added to each reply
        self._allowed: int | None = None  # bytes of replies that are still passed on
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._listener.close()
        self.cut()

    def pass_only(self, count: int | None) -> None:
        """Pass on that many more bytes of replies, then silently none. None: all."""
        self._allowed = count

    def cut(self) -> None:
        """End every connection."""
        while self._open:
            end = self._open.pop()
            with contextlib.suppress(OSError):  # already closed by the other side
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._open += [client, server]
            for way in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=way, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, replies: bool) -> None:
        try:
            while data := source.recv(65536):
                if replies:
                    time.sleep(self.delay_seconds)
                if replies and self._allowed is not None:
                    data, self._allowed = data[: self._allowed], max(0, self._allowed - len(data))
                sink.sendall(data)
        except OSError:
            return
