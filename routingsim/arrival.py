"""When a request reached this machine, as the kernel saw it.

Invariant: the latency asked for is what a caller sees. In a burst the loop comes to the last of
2,000 requests some 150 ms after it arrived; counted from there every answer would be late by as
much, so that time is taken off the wait.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys

# Linux's struct tcp_info: 8 single bytes, 11 numbers of 32 bits, then tcpi_last_data_recv, the
# milliseconds since data last came in. Its head is part of the kernel's interface and stays put.
_TCP_INFO_HEAD = struct.Struct("=8x44xI")
# The kernel counts it in ticks of at most 10 ms. Less one tick, no answer goes out early.
_TICK_MS = 10


def waited_seconds(transport: asyncio.BaseTransport | None) -> float:
    """How long the last request on this connection has waited; 0 where the system can't tell."""
    if sys.platform != "linux" or transport is None:
        return 0.0
    try:
        head = transport.get_extra_info("socket").getsockopt(
            socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_HEAD.size
        )
        (milliseconds,) = _TCP_INFO_HEAD.unpack(head)
    except (OSError, struct.error):  # the client has gone, or a kernel that only looks like Linux
        return 0.0
    return float(max(0, milliseconds - _TICK_MS)) / 1000
