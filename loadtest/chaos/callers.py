"""Which process is at the other end of a connection on loopback. Linux only, from /proc.

The checker must know whose call it was to say whether a kill excuses its repeat.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

_PROC = Path("/proc")
_LOCAL, _REMOTE, _INODE = 1, 2, 9  # columns of /proc/net/tcp
_REMEMBERED = 4_096


class Callers:
    """candidates: the pids that may be callers, asked anew for each unknown connection."""

    def __init__(self, candidates: Callable[[], Iterable[int]]) -> None:
        self._candidates = candidates
        self._known: dict[str, int] = {}  # inode of the socket -> pid: an inode is never two's

    def pid(self, port: int, to: int) -> int:
        """Whose connection from this port to that one it is; 0 if no candidate's."""
        inode = _inode(port, to)
        if inode and inode not in self._known:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            for pid in self._candidates():
                for found in _sockets(pid):
                    self._known[found] = pid
        return self._known.get(inode, 0)


def _inode(port: int, to: int) -> str:
    local, remote = f":{port:04X}", f":{to:04X}"
    with (_PROC / "net" / "tcp").open() as table:
        for line in table:
            fields = line.split()
            if fields[_LOCAL].endswith(local) and fields[_REMOTE].endswith(remote):
                return fields[_INODE]
    return ""


def _sockets(pid: int) -> list[str]:
    found = []
    try:
        for entry in os.scandir(_PROC / str(pid) / "fd"):
            link = os.readlink(entry.path)
            if link.startswith("socket:["):
                found.append(link[len("socket:["):-1])
    except OSError:  # it ended, or closed something, meanwhile
        pass
    return found
