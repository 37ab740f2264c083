"""Runs a command that gets SIGTERM when its parent dies, however the parent dies.

Stacks of tests and demos must not outlive them: a killed test run would leave a Redis, a MongoDB
and a dozen processes behind. Only Linux can do it; elsewhere the command just runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    if sys.platform == "linux":
        # The thread that started us counts as the parent: start stacks in threads that last.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the call
            sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
