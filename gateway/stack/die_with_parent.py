"""Runs a command that receives SIGTERM when its parent dies, even by SIGKILL.

Without it a killed test run or demo would leave a Redis, a MongoDB and a dozen processes running.
Linux only; elsewhere the command runs without this protection.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    if sys.platform == "linux":
        # The kernel takes the thread that started us for the parent: it must live as long as the
        # stack.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent died before the call
            sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
