"""Logging: one line per entry, to standard error, where supervisord and Docker collect it."""

from __future__ import annotations

import logging
import sys
import time

from conf.settings import Settings


class _LineFormatter(logging.Formatter):
    """``2026-11-23T06:00:00.123Z INFO worker-routing_00 workers.lane: message``."""

    converter = time.gmtime  # type: ignore[assignment]

    def __init__(self, process: str) -> None:
        super().__init__(
            f"%(asctime)s.%(msecs)03dZ %(levelname)s {process} %(name)s: %(message)s",
            "%Y-%m-%dT%H:%M:%S",
        )

    def format(self, record: logging.LogRecord) -> str:
        # A line break in a message, which may hold text of a courier, must not look like an entry.
        head, *trace = super().format(record).split("\n")
        return "\n".join([head, *("    | " + line for line in trace)])


def configure(settings: Settings, process: str) -> None:
    """Configure logging for this process. process: its name, which each line shows."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter(process))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for noisy in ("urllib3", "pymongo"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
