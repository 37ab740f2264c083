"""Times, durations and tables as operators read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime


def moment(ms: int | str | None) -> str:
    """Milliseconds since 1970 as ``2026-11-23 06:00:00.123Z``; a dash for nothing."""
    if not ms:
        return "-"
    text = datetime.fromtimestamp(int(ms) / 1000, UTC).isoformat(sep=" ", timespec="milliseconds")
    return text.replace("+00:00", "Z")


def span(ms: float) -> str:
    """A duration: ``850 ms``, ``12.3 s``, ``4 min``, ``7 h``, ``2 d``."""
    sign, ms = ("-" if ms < 0 else ""), abs(ms)
    for limit, unit, size in (
        (1e3, "ms", 1),
        (6e4, "s", 1e3),
        (3.6e6, "min", 6e4),
        (8.64e7, "h", 3.6e6),
    ):
        if ms < limit:
            return f"{sign}{ms / size:.{1 if unit == 's' else 0}f} {unit}"
    return f"{sign}{ms / 8.64e7:.0f} d"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines with aligned columns; numbers to the right."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    numeric = [
        all(
            line[i].replace(".", "").replace("-", "").isdigit() or not line[i] for line in lines[1:]
        )
        for i in range(len(header))
    ]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    ]
