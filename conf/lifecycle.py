"""How a process of ours starts and stops: settings, log, SIGTERM, and the end of its supervisor."""

from __future__ import annotations

import os
import signal
import sys
import threading

from conf import log
from conf.settings import Settings, SettingsError, load

ORPHAN_CHECK_SECONDS = 0.5
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Set by SIGTERM or SIGINT, or when the supervisor that started this process is gone.

    An orphan would go on working unseen beside the processes that a new supervisor starts.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason = ""

    def install(self) -> None:
        """Listen from here on; call it in the main thread before any other thread starts.

        The signals are blocked and waited for by a thread: a handler would run in the main thread
        at any instruction, also where that thread holds the very lock that the handler needs.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        parent = os.getppid() if os.environ.get("SUPERVISOR_ENABLED") else None
        threading.Thread(target=self._listen, args=(parent,), name="stop", daemon=True).start()

    def _listen(self, parent: int | None) -> None:
        while not self._event.is_set():
            received = signal.sigtimedwait(SIGNALS, ORPHAN_CHECK_SECONDS)
            if received is not None:
                self.set(signal.Signals(received.si_signo).name)
            elif parent is not None and os.getppid() != parent:
                self.set("supervisor is gone")

    def set(self, reason: str) -> None:
        """Ask the process to stop."""
        self.reason = self.reason or reason
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, but no longer than until the stop; True if it is time to stop."""
        return self._event.wait(seconds)


def process_name(default: str) -> str:
    """The stable name that supervisord gave this process, such as ``worker-routing_00``."""
    return os.environ.get("SUPERVISOR_PROCESS_NAME") or default


def begin(name: str) -> Settings:
    """Settings read and log started, or the process ends with a line for each wrong setting."""
    try:
        settings = load()
    except SettingsError as error:
        for problem in error.problems:
            print(f"{name}: {problem}", file=sys.stderr)
        raise SystemExit(78) from None  # EX_CONFIG
    log.start(settings, name)
    return settings
