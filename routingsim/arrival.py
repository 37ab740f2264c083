"""How long ago a request reached this machine, according to the kernel.

Invariant: a caller sees the configured latency. In a burst the event loop reads the last of 2,000
requests some 150 ms after its arrival, so the wait is shortened by that time.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys

# Linux's struct tcp_info: 8 single bytes, 11 numbers of 32 bits, then tcpi_last_data_recv, the
# milliseconds since data last came in. This part of the kernel's interface does not change.
_TCP_INFO_HEAD = struct.Struct("=8x44xI")
# The kernel counts in ticks of at most 10 ms; one tick is deducted, so that no answer is early.
_TICK_MS = 10


def seconds_since_arrival(transport: asyncio.BaseTransport | None) -> float:
    """How long ago the last request on this connection arrived; 0 where the system does not report
    it."""
    if sys.platform != "linux" or transport is None:
        return 0.0
    try:
        head = transport.get_extra_info("socket").getsockopt(
            socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_HEAD.size
        )
        (milliseconds,) = _TCP_INFO_HEAD.unpack(head)
    except (OSError, struct.error):  # the client has disconnected, or an emulated kernel lacks it
        return 0.0
    return float(max(0, milliseconds - _TICK_MS)) / 1000
