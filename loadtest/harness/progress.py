"""The lines that say how a run is going."""

from __future__ import annotations

import shutil
import sys
import time


class Progress:
    """Prints each line with the seconds since it was made, and keeps it. to_stderr: where the
    standard output is for the report alone."""

    def __init__(self, *, to_stderr: bool = False) -> None:
        self.lines: list[str] = []
        self._to_stderr = to_stderr
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        stream = sys.stderr if self._to_stderr else sys.stdout
        for part in text.splitlines():
            line = f"[{time.monotonic() - self._started:5.1f} s] {part}"
            self.lines.append(line)
            if stream.isatty():  # one line of the terminal each, however narrow it is
                line = line[: shutil.get_terminal_size().columns]
            print(line, file=stream, flush=True)


class Every:
    """Whether it is time again."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._next = seconds, 0.0

    def due(self) -> bool:
        """True at the first call, and then once in ``seconds``."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


say = Progress(to_stderr=True)  # of the benchmarks and the soak
