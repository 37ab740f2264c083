"""A TCP proxy whose connections can be reset, or partitioned without a sign.

Invariant: bytes are passed on as they are and in order, or not at all. What came in during a
partition is delivered when it ends, as a network does: a command may reach its store long after its
sender gave up on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

CHUNK = 65_536
_NO_LINGER = struct.pack("ii", 1, 0)  # closing sends RST, and what waits to be sent is dropped


class Proxy:
    """In front of a server on loopback. All of it runs in one event loop."""

    def __init__(self, upstream: int) -> None:
        self.port = 0
        self._upstream = upstream
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._partitions = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a port that the system chooses."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.reset()

    def reset(self) -> int:
        """Reset both ends of every connection; how many ends there were."""
        ends = list(self._writers)
        for writer in ends:
            _reset(writer)
        return len(ends)

    async def partition(self, seconds: float) -> None:
        """For ``seconds``, accept and keep connections, and pass nothing on in either direction."""
        self._partitions += 1
        self._flows.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._partitions -= 1
            if not self._partitions:
                self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._flows.wait()
            with contextlib.suppress(OSError):  # no server listens there: the client is reset
                up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
                self._writers.add(up_writer)
                try:
                    await asyncio.gather(
                        self._pump(reader, up_writer), self._pump(up_reader, writer)
                    )
                finally:
                    self._writers.discard(up_writer)
                    _reset(up_writer)
        finally:
            self._writers.discard(writer)
            _reset(writer)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK):
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
        await self._flows.wait()
        sink.close()  # what was written leaves first; the other direction ends by that


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()
