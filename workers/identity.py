"""The identity of a worker process: an owner that stays the same over restarts, and a boot.

Invariant: one live process for each name on a host. A process locks the file of its name for its
whole life, so that a new process that takes over its predecessor's locks never takes those of a
second instance that is still running.
"""

from __future__ import annotations

import fcntl
import logging
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from conf.lifecycle import Stop

# How often a process that waits for its name tries again. Shorter costs idle wake-ups, longer
# delays the start after the second instance ends.
NAME_RETRY_SECONDS = 0.2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    """owner: ``<host>/<process name>``. boot: random, of this process alone."""

    owner: str
    boot: str


def take_name(host: str, name: str, run_dir: Path, stop: Stop) -> Identity | None:
    """Lock the name, waiting while a second instance holds it; None if ``stop`` comes first.

    The lock belongs to the open file, which is never closed: it ends with the process.
    """
    folder = run_dir / "names"
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    waited = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waited:
                waited = True
                log.warning(
                    "process %s runs under this name: waiting until it ends",
                    os.pread(file, 32, 0).decode(errors="replace").strip() or "another",
                )
            if stop.wait(NAME_RETRY_SECONDS):
                return None
            continue
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        return Identity(f"{host}/{name}", uuid.uuid4().hex[:12])
