"""Which process is at the other end of a connection on loopback. Linux only.

The checker must know whose call it was to say whether a kill excuses its repeat.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

_PROC = Path("/proc")
_REMEMBERED = 4_096

# The kernel's own answer about one connection (sock_diag(7), what `ss` asks): /proc/net/tcp would
# have to be read from its beginning, and holds thousands of closed ones after a minute of load.
_NETLINK, _SOCK_DIAG, _BY_FAMILY, _REQUEST = 16, 4, 20, 1
_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBBBI")  # family, protocol, extensions, padding, states
_CONNECTION = struct.Struct("!HH16s16s")  # ports and addresses, then interface and cookie
_NO_COOKIE = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
_INODE_AT = _HEADER.size + 4 + 48 + 16  # of struct inet_diag_msg
_LOOPBACK = socket.inet_aton("127.0.0.1") + bytes(12)


class Callers:
    """candidates: the pids that may be callers; asked anew when none of those known is it."""

    def __init__(self, candidates: Callable[[], Iterable[int]]) -> None:
        self._candidates = candidates
        self._pids: list[int] = []
        self._known: dict[int, int] = {}  # inode of the socket -> pid: an inode is never two's

    def pid(self, port: int, to: int) -> int:
        """Whose connection from this port to that one it is; 0 if no candidate's."""
        inode = _inode(port, to)
        if inode and inode not in self._known:
            self._look()
        if inode and inode not in self._known:
            self._pids = list(self._candidates())
            self._look()
        return self._known.get(inode, 0)

    def _look(self) -> None:
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        for pid in self._pids:
            for found in _sockets(pid):
                self._known[found] = pid


def _inode(port: int, to: int) -> int:
    """Of the socket at 127.0.0.1:port that is connected with 127.0.0.1:to; 0 if it is gone."""
    question = _QUESTION.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF)
    body = question + _CONNECTION.pack(port, to, _LOOPBACK, _LOOPBACK) + _NO_COOKIE
    header = _HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _REQUEST, 0, 0)
    with socket.socket(_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as kernel:
        kernel.settimeout(1)
        kernel.send(header + body)
        reply = kernel.recv(4096)
    if _HEADER.unpack_from(reply)[1] != _BY_FAMILY:  # an error: no such connection any more
        return 0
    return int(struct.unpack_from("=I", reply, _INODE_AT)[0])


def _sockets(pid: int) -> list[int]:
    found = []
    try:
        for entry in os.scandir(_PROC / str(pid) / "fd"):
            link = os.readlink(entry.path)
            if link.startswith("socket:["):
                found.append(int(link[len("socket:[") : -1]))
    except OSError:  # it ended, or closed something, meanwhile
        pass
    return found
