"""Just enough SVG for a picture of curves over time. A drawing library would be the heaviest of
all dependencies, for one picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

INK, FAINT, GRID, PAPER = "#1f2328", "#59636e", "#e4e8ec", "#ffffff"
FONT = "system-ui,-apple-system,'Segoe UI',Helvetica,Arial,'DejaVu Sans',sans-serif"

Points = Sequence[tuple[float, float]]


@dataclass
class Canvas:
    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 12,
        color: str = FAINT,
        anchor: str = "start",
        weight: str = "normal",
    ) -> None:
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{color}" '
            f'text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
        )

    def box(
        self, x: float, y: float, width: float, height: float, color: str, opacity: float = 1
    ) -> None:
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0, width):.1f}" '
            f'height="{max(0, height):.1f}" fill="{color}" fill-opacity="{opacity:g}"/>'
        )

    def path(
        self,
        points: Points,
        *,
        stroke: str = "none",
        fill: str = "none",
        width: float = 1.8,
        dash: str = "",
        opacity: float = 1,
    ) -> None:
        if points:
            self.parts.append(
                f'<path d="M{" L".join(f"{x:.1f} {y:.1f}" for x, y in points)}" fill="{fill}" '
                f'stroke="{stroke}" stroke-width="{width:g}" stroke-linejoin="round" '
                f'fill-opacity="{opacity:g}"'
                + (f' stroke-dasharray="{dash}"' if dash else "")
                + "/>"
            )

    def legend(self, right: float, y: float, entries: Iterable[tuple[str, str]]) -> None:
        """(name, color) each. One text, so that the reader's font decides how wide it is."""
        spans = "\u2003".join(
            f'<tspan fill="{color}">■</tspan>\u00a0{escape(name)}' for name, color in entries
        )
        self.parts.append(
            f'<text x="{right:.1f}" y="{y:.1f}" font-size="12" fill="{FAINT}" '
            f'text-anchor="end">{spans}</text>'
        )

    def svg(self) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} '
            f'{self.height:g}" width="{self.width:g}" height="{self.height:g}" '
            f'font-family="{FONT}">\n'
            + "\n".join([f'<rect width="100%" height="100%" fill="{PAPER}"/>', *self.parts])
            + "\n</svg>\n"
        )


@dataclass(frozen=True)
class Panel:
    """A coordinate system on a canvas. x_max, y_max: at its right and upper edge; low: at its
    lower edge, 0, or more for a logarithmic axis."""

    canvas: Canvas
    left: float
    top: float
    width: float
    height: float
    x_max: float
    y_max: float
    low: float = 0.0

    def x(self, value: float) -> float:
        return self.left + self.width * value / self.x_max

    def y(self, value: float) -> float:
        share = value / self.y_max
        if self.low:
            share = math.log(max(value, self.low) / self.low) / math.log(self.y_max / self.low)
        return self.top + self.height * (1 - min(1.0, share))

    def frame(self, title: str, ticks: Iterable[float], legend: Sequence[tuple[str, str]]) -> None:
        """Title and legend above, a line for each tick."""
        c = self.canvas
        c.text(self.left, self.top - 10, title, size=13, color=INK, weight="600")
        c.legend(self.left + self.width, self.top - 10, legend)
        for tick in ticks:
            y = self.y(tick)
            c.path([(self.left, y), (self.left + self.width, y)], stroke=GRID, width=1)
            c.text(self.left - 8, y + 4, f"{tick:,g}", size=11, anchor="end")

    def line(self, points: Points, color: str, dash: str = "") -> None:
        self.canvas.path([(self.x(x), self.y(y)) for x, y in points], stroke=color, dash=dash)

    def band(self, points: Sequence[tuple[float, float, float]], color: str) -> None:
        """The area between two curves: (x, lower, upper)."""
        upper = [(self.x(x), self.y(high)) for x, _, high in points]
        lower = [(self.x(x), self.y(low)) for x, low, _ in reversed(points)]
        self.canvas.path([*upper, *lower], fill=color, opacity=0.85)

    def bar(self, x: float, width: float, low: float, high: float, color: str) -> None:
        left, right = self.x(x), self.x(x + width)
        self.canvas.box(
            left + 0.5, self.y(high), right - left - 1, self.y(low) - self.y(high), color
        )


def ticks(highest: float, about: int = 4) -> list[float]:
    """So many round numbers from 0 up; the last is ``highest`` or above it."""
    raw = max(highest, 1) / about
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= raw)
    return [step * n for n in range(math.ceil(max(highest, 1) / step) + 1)]
