"""The picture of a run: requests, acknowledgements, depth, completions and retries over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from loadtest.harness.history import Answer
from loadtest.load.sampling import Sample
from loadtest.load.svg import FAINT, INK, Canvas, Panel, Points, ticks
from loadtest.load.timeline import Second, rates, seconds

BLUE, ORANGE, GREEN, PURPLE, RED = "#2f6fdb", "#e8833a", "#2e9e5b", "#8a63d2", "#d1242f"
PALE = "#a9c5f5"
SHADES = ("#f4f6f9", "#e9eff8")
WIDTH, LEFT, RIGHT, PANEL, GAP, HEAD = 1000.0, 64.0, 20.0, 120.0, 50.0, 118.0
TARGET_MS = 150


@dataclass(frozen=True)
class Scene:
    """Times in seconds since 1970. phases: name -> from, to. attempts: routing calls of an event
    -> such events."""

    title: str
    subtitle: str
    answers: Sequence[Answer]
    samples: Sequence[Sample]
    phases: Mapping[str, tuple[float, float]]
    attempts: Mapping[int, int]


class _Maker(Protocol):
    """Makes the panel of a place, counted from the top."""

    def __call__(self, place: int, y_max: float, low: float = 0) -> Panel: ...


def draw(scene: Scene) -> str:
    """The picture as SVG."""
    start = min(begin for begin, _ in scene.phases.values())
    end = max(sample.at for sample in scene.samples) - start
    shown = [sample for sample in scene.samples if sample.at >= start]
    rows = seconds(scene.answers, start)
    histogram = 44 + 22 * len(scene.attempts)
    canvas = Canvas(WIDTH, HEAD + 4 * (PANEL + GAP) + histogram)
    canvas.text(LEFT, 34, scene.title, size=20, color=INK, weight="600")
    canvas.text(LEFT, 56, scene.subtitle, size=13)

    def panel(place: int, y_max: float, low: float = 0) -> Panel:
        return Panel(
            canvas, LEFT, HEAD + place * (PANEL + GAP), WIDTH - LEFT - RIGHT, PANEL, end, y_max, low
        )

    _phases(panel(0, 1), scene, start)
    _requests(panel, rows)
    _acknowledged(panel, rows)
    _depth(panel, shown, start)
    _rates(panel, scene.samples, start)
    _time_axis(panel(3, 1))
    _attempts(canvas, canvas.height - histogram + 20, scene.attempts)
    return canvas.svg()


def _phases(first: Panel, scene: Scene, start: float) -> None:
    for number, (name, (begin, end)) in enumerate(scene.phases.items()):
        left, right = first.x(max(0, begin - start)), first.x(end - start)
        first.canvas.box(
            left, first.top - 34, max(right - left, 3), 4 * (PANEL + GAP) - 16, SHADES[number % 2]
        )
        first.canvas.text(left + 2, first.top - 40, name, size=11, color=FAINT)


def _requests(panel: _Maker, rows: Sequence[Second]) -> None:
    scale = ticks(max(row.accepted + row.duplicates + row.failed for row in rows))
    p = panel(0, scale[-1])
    p.frame(
        "Requests a second",
        scale,
        [("accepted (202)", BLUE), ("duplicates (200)", PALE), ("failed", RED)],
    )
    for row in rows:
        low = 0
        for part, color in ((row.accepted, BLUE), (row.duplicates, PALE), (row.failed, RED)):
            if part:
                p.bar(row.second, 1, low, low + part, color)
            low += part


def _acknowledged(panel: _Maker, rows: Sequence[Second]) -> None:
    decades = [1, 10, 100, 1000]
    if max(row.p99 for row in rows) > decades[-1]:
        decades.append(10_000)
    p = panel(1, decades[-1], 1)
    p.frame(
        "Acknowledged within, ms (logarithmic)",
        decades,
        [("p50", GREEN), ("p99", PURPLE), (f"target {TARGET_MS} ms", RED)],
    )
    p.line([(0, TARGET_MS), (p.x_max, TARGET_MS)], RED, dash="5 4")
    for run in _unbroken(rows):
        if len(run) == 1:  # a burst is over within a second
            for value, color in ((run[0].p50, GREEN), (run[0].p99, PURPLE)):
                p.canvas.box(p.x(run[0].second + 0.5) - 3, p.y(value) - 3, 6, 6, color)
        p.line([(row.second + 0.5, row.p50) for row in run], GREEN)
        p.line([(row.second + 0.5, row.p99) for row in run], PURPLE)


def _unbroken(rows: Sequence[Second]) -> list[list[Second]]:
    runs: list[list[Second]] = []
    for row in rows:
        if not runs or row.second > runs[-1][-1].second + 1:
            runs.append([])
        runs[-1].append(row)
    return runs


def _depth(panel: _Maker, samples: Sequence[Sample], start: float) -> None:
    scale = ticks(max(sample.open for sample in samples))
    p = panel(2, scale[-1])
    p.frame(
        "Events accepted and not finished",
        scale,
        [("in a routing call", GREEN), ("waiting for a retry", ORANGE), ("queued", BLUE)],
    )
    floor = [0.0] * len(samples)
    for color, counts in (
        (GREEN, [s.working_routing + s.working_lookup for s in samples]),
        (ORANGE, [s.retrying for s in samples]),
        (BLUE, [s.waiting_lookup + s.waiting_routing for s in samples]),
    ):
        top = [low + count for low, count in zip(floor, counts, strict=True)]
        p.band(
            [(s.at - start, low, high) for s, low, high in zip(samples, floor, top, strict=True)],
            color,
        )
        floor = top


def _rates(panel: _Maker, samples: Sequence[Sample], start: float) -> None:
    def since_start(counter: str) -> Points:
        return [(at - start, rate) for at, rate in rates(samples, counter) if at >= start]

    done, retried = since_start("done"), since_start("retried")
    scale = ticks(max(rate for _, rate in done))
    p = panel(3, scale[-1])
    p.frame(
        "Completed and retried, events a second",
        scale,
        [("completed", GREEN), ("sent to a retry", ORANGE)],
    )
    p.line(done, GREEN)
    p.line(retried, ORANGE)


def _time_axis(last: Panel) -> None:
    for tick in (tick for tick in ticks(last.x_max, 10) if tick <= last.x_max):
        last.canvas.text(
            last.x(tick), last.top + last.height + 16, f"{tick:g} s", size=11, anchor="middle"
        )


def _attempts(canvas: Canvas, top: float, attempts: Mapping[int, int]) -> None:
    canvas.text(LEFT, top, "Routing calls that an event needed", size=13, color=INK, weight="600")
    most = max(attempts.values(), default=1)
    for row, (calls, events) in enumerate(sorted(attempts.items())):
        y = top + 10 + 22 * row
        width = 700 * events / most
        canvas.text(LEFT + 44, y + 12, f"{calls} call" + "s" * (calls > 1), anchor="end")
        canvas.box(LEFT + 54, y, max(width, 2), 15, GREEN if calls == 1 else ORANGE)
        canvas.text(LEFT + 62 + width, y + 12, f"{events:,} events")
