"""Who a worker process is: an owner that outlives its restarts, a boot that does not.

Invariant: one living process a name and host. The name's file is locked for life, so that a new
process that takes back the locks of its predecessor never robs a living twin.
"""

from __future__ import annotations

import fcntl
import logging
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from conf.lifecycle import Stop

TWIN_CHECK_SECONDS = 0.2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    """owner: ``<host>/<process name>``. boot: this process alone."""

    owner: str
    boot: str


def take_name(host: str, name: str, run_dir: Path, stop: Stop) -> Identity | None:
    """Lock the name, waiting for a living twin to end; None if it is time to stop first.

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
                    "process %s has this name and lives: waiting until it ends",
                    os.pread(file, 32, 0).decode(errors="replace").strip() or "another",
                )
            if stop.wait(TWIN_CHECK_SECONDS):
                return None
            continue
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        return Identity(f"{host}/{name}", uuid.uuid4().hex[:12])
