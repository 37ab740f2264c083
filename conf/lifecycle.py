"""The start and stop of a process: settings, log, signals, and the end of its supervisor."""

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

ORPHAN_CHECK_SECONDS = 0.5  # shorter: an orphan stops sooner, and every process wakes more often
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Set by SIGTERM or SIGINT, or when the supervisor that started this process has ended.

    Otherwise an orphaned process would keep working next to those that a new supervisor starts.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason = ""

    def install(self) -> None:
        """Start to listen for signals. Call it in the main thread.

        The handler only writes to a pipe, which a thread reads. A handler may run at any
        instruction of the main thread, even while that holds the lock that setting the event needs.
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
                self.set("the supervisor has ended")

    def set(self, reason: str) -> None:
        """Ask the process to stop."""
        self.reason = self.reason or reason
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep until the time is over or the process is to stop; True if it is to stop."""
        return self._event.wait(seconds)


def process_name(default: str) -> str:
    """The name that supervisord gives this process, such as ``worker-routing_00``: the same after
    each restart."""
    return os.environ.get("SUPERVISOR_PROCESS_NAME") or default


def start_process(name: str) -> Settings:
    """Read the settings and start the log. Wrong settings end the process, with a line for each."""
    try:
        settings = load()
    except SettingsError as error:
        exit_with_problems(name, error)
    log.configure(settings, name)
    return settings


def sources_without_secrets(name: str, settings: Settings) -> Sources:
    """The sources, for a process that verifies no signature. Problems end the process, with a line
    for each."""
    try:
        return load_sources(settings.sources_file, None, settings.profile)
    except SettingsError as error:
        exit_with_problems(name, error)


def exit_with_problems(name: str, error: SettingsError) -> NoReturn:
    """End this process with a line for each problem."""
    for problem in error.problems:
        print(f"{name}: {problem}", file=sys.stderr)
    raise SystemExit(78) from None  # EX_CONFIG
