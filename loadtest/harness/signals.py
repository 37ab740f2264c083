"""How a driver is stopped from outside."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn


def unwind_on_sigterm() -> None:
    """SIGTERM raises ``SystemExit`` in the main thread, so that what was started is stopped."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
