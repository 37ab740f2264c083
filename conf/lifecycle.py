"""How a process of ours starts and stops: settings, log, SIGTERM, and the end of its supervisor."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from typing import NoReturn

from conf import log
from conf.settings import Settings, SettingsError, load
from conf.sources.loader import load_sources
from conf.sources.model import Sources

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
        """Listen from here on; call it in the main thread.

        The handler only writes to a pipe that a thread reads. It runs in the main thread at any
        instruction, also where that thread holds the lock that setting the event needs.
        """
        inlet, outlet = os.pipe()
        for number in SIGNALS:
            signal.signal(number, lambda got, _frame: (os.write(outlet, bytes([got])), None)[1])
        parent = os.getppid() if os.environ.get("SUPERVISOR_ENABLED") else None
        threading.Thread(target=self._listen, args=(inlet, parent), daemon=True).start()

    def _listen(self, inlet: int, parent: int | None) -> None:
        while not self._event.is_set():
            readable, _, _ = select.select([inlet], [], [], ORPHAN_CHECK_SECONDS)
            if readable:
                self.set(signal.Signals(os.read(inlet, 1)[0]).name)
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
        refuse(name, error)
    log.start(settings, name)
    return settings


def sources_without_secrets(name: str, settings: Settings) -> Sources:
    """The sources for a process that verifies nothing, or its end with a line for each problem."""
    try:
        return load_sources(settings.sources_file, None, settings.profile)
    except SettingsError as error:
        refuse(name, error)


def refuse(name: str, error: SettingsError) -> NoReturn:
    """End this process with a line for each problem."""
    for problem in error.problems:
        print(f"{name}: {problem}", file=sys.stderr)
    raise SystemExit(78) from None  # EX_CONFIG
