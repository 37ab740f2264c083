"""Lines that say what is going on, on the standard error: the report has the standard output."""

from __future__ import annotations

import sys
import time

_began = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - _began:4.0f} s]   {text}", file=sys.stderr, flush=True)
