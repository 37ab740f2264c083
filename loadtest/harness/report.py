"""The report as text and as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from loadtest.harness.figures import Figure, Section

HEADER = ("figure", "value", "unit", "target", "verdict", "samples")
LEFT = frozenset({"figure", "unit", "verdict", "samples", ""})  # numbers stand on the right


def number(value: float) -> str:
    """Three figures or so: more would be noise."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def aligned(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Lines with columns of equal width; the first row is the header."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    left = [name in LEFT or i == 0 for i, name in enumerate(rows[0])]
    return [
        (
            indent
            + "  ".join(
                cell.ljust(width) if on_left else cell.rjust(width)
                for cell, width, on_left in zip(row, widths, left, strict=True)
            )
        ).rstrip()
        for row in rows
    ]


def row(figure: Figure) -> tuple[str, ...]:
    target = figure.target
    wanted = f"{target.kind} {number(target.limit)}" if target else ""
    samples = " ".join(number(sample) for sample in figure.samples)
    return figure.name, number(figure.value), figure.unit, wanted, figure.verdict, samples


def text(section: Section) -> str:
    """A section as it is printed."""
    rows = section.grid or (HEADER, *(row(figure) for figure in section.figures))
    return "\n".join(
        [
            f"{section.name}: {section.title}",
            *aligned(rows),
            f"  measured: {section.how}",
            *(f"  note: {n}" for n in section.notes),
        ]
    )


def document(
    machine: Mapping[str, Any],
    options: Mapping[str, Any],
    sections: Sequence[Section],
    failed: Mapping[str, str],
) -> str:
    """Everything as JSON. failed: benchmark -> why there are no figures of it."""
    found = {
        section.name: {
            "title": section.title,
            "how": section.how,
            "notes": section.notes,
            "figures": [
                {**asdict(figure), "verdict": figure.verdict or None} for figure in section.figures
            ],
        }
        for section in sections
    }
    return (
        json.dumps(
            {"machine": machine, "options": options, "benchmarks": found, "failed": failed},
            indent=1,
            ensure_ascii=False,
        )
        + "\n"
    )
