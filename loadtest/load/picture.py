"""The picture of a run: requests, acknowledgements, depth, completions and retries over time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from loadtest.harness.figures import percentile
from loadtest.harness.history import ACCEPTED, DUPLICATE, Answer
from loadtest.load.sampling import Sample
from loadtest.load.summary import Measured, recovered, routing_calls

BLUE, PALE, ORANGE, GREEN = "#2f6fdb", "#a9c5f5", "#e8833a", "#2e9e5b"
PURPLE, RED, GREY = "#8a63d2", "#d1242f", "#59636e"
SHADES = ("#f4f6f9", "#e9eff8")
TARGET_MS = 150
RATE_SECONDS = 2.0  # completions come at once, for all calls take 2 s: a shorter span shows spikes
# The same run gives the same file, and text stays text.
STYLE: Any = {
    "svg.hashsalt": "fincart",
    "svg.fonttype": "none",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": GREY,
    "ytick.color": GREY,
    "grid.color": "#e4e8ec",
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Second:
    """Requests by the second they were sent in (from 0). p50_ms, p99_ms: until the answer."""

    second: int
    accepted: int
    duplicates: int
    failed: int
    p50_ms: float
    p99_ms: float


def seconds(answers: Iterable[Answer], start: float) -> list[Second]:
    """Only those in which a request was sent. start: seconds since 1970."""
    rows: dict[int, list[Answer]] = {}
    for answer in answers:
        rows.setdefault(math.floor(answer.sent_at - start), []).append(answer)
    return [_second(number, rows[number]) for number in sorted(rows)]


def _second(number: int, answers: list[Answer]) -> Second:
    accepted = sum(a.status == ACCEPTED for a in answers)
    duplicates = sum(a.status == DUPLICATE for a in answers)
    failed = len(answers) - accepted - duplicates
    times = [a.ms for a in answers]
    p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
    return Second(number, accepted, duplicates, failed, p50, p99)


def rates(samples: Sequence[Sample], counter: str) -> list[tuple[float, float]]:
    """(time, growth of the counter a second) over the RATE_SECONDS before each sample."""
    points = []
    first = 0
    for last, sample in enumerate(samples):
        while sample.at - samples[first].at > RATE_SECONDS and first < last:
            first += 1
        span = sample.at - samples[first].at
        if span > 0:
            growth = getattr(sample, counter) - getattr(samples[first], counter)
            points.append((sample.at, growth / span))
    return points


def draw(path: Path, m: Measured) -> None:
    """Write the picture as SVG."""
    start = min(a.sent_at for a in m.burst)
    sustained = min(a.sent_at for a in m.sustained) - start
    last = max(a.answered_at for a in m.sustained) - start
    end = m.samples[-1].at - start
    phases = {
        "burst": (0.0, m.burst_end - start),
        "sustained load": (sustained, last),
        "drain": (last, end),
    }
    calls = routing_calls(m.ledger)
    requests = len(m.burst) + len(m.sustained)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 10), layout="constrained")
        axes = figure.subplots(5, height_ratios=[3, 3, 3, 3, 1.2])
        figure.suptitle(
            f"{requests:,} requests, {sum(m.failures.values())} failures, "
            f"{recovered(calls):,} events completed after a retry\n",
            x=0.01,
            ha="left",
            size=14,
            weight="bold",
        )
        figure.text(
            0.01,
            0.955,
            f"{len(m.burst)} at once, then {len(m.sustained):,} by 100 users; a routing call takes "
            f"2 s and fails at first for a fifth of the events; {m.slots} slots",
            color=GREY,
        )
        over_time = axes[:4]
        rows = seconds([*m.burst, *m.sustained], start)
        _requests(over_time[0], rows)
        _acknowledged(over_time[1], rows)
        _depth(over_time[2], [s for s in m.samples if s.at >= start], start)
        _rates(over_time[3], m.samples, start)
        for ax in over_time:
            _frame(ax, phases, end)
        for name, (begin, _) in phases.items():
            over_time[0].text(
                begin,
                1.0,
                f" {name}",
                color=GREY,
                size=8,
                va="top",
                transform=over_time[0].get_xaxis_transform(),
            )
        _calls(axes[4], calls)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    # matplotlib ends some lines with blanks, which do not belong into a committed file.
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def _frame(ax: Axes, phases: Mapping[str, tuple[float, float]], end: float) -> None:
    for number, (begin, until) in enumerate(phases.values()):
        ax.axvspan(begin, until, color=SHADES[number % 2], zorder=0, linewidth=0)
    ax.set_xlim(0, end)
    ax.grid(axis="y")
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g} s"))
    ax.set_axisbelow(True)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0)
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))


def _requests(ax: Axes, rows: Sequence[Second]) -> None:
    ax.set_title("Requests a second")
    at = [row.second for row in rows]
    accepted = [row.accepted for row in rows]
    answered = [row.accepted + row.duplicates for row in rows]
    duplicates, failed = [row.duplicates for row in rows], [row.failed for row in rows]
    most = max(row.accepted + row.duplicates + row.failed for row in rows)
    ax.set_ylim(0, 1.2 * most)  # room for the names of the phases
    style: dict[str, Any] = {"align": "edge", "width": 0.85}
    ax.bar(at, accepted, color=BLUE, label="accepted (202)", **style)
    ax.bar(at, duplicates, bottom=accepted, color=PALE, label="duplicates (200)", **style)
    ax.bar(at, failed, bottom=answered, color=RED, label="failed", **style)


def _acknowledged(ax: Axes, rows: Sequence[Second]) -> None:
    ax.set_title("Acknowledged within, ms (logarithmic)")
    ax.set_yscale("log")
    ax.set_ylim(1, max(1000, 10 ** math.ceil(math.log10(max(row.p99_ms for row in rows)))))
    # A gap in the load is a gap in the lines: one row of NaN breaks them.
    points: list[tuple[float, float, float]] = []
    for row in rows:
        if points and row.second + 0.5 > points[-1][0] + 1:
            points.append((row.second, math.nan, math.nan))
        points.append((row.second + 0.5, row.p50_ms, row.p99_ms))
    at, p50, p99 = zip(*points, strict=True)
    style: dict[str, Any] = {"marker": "s", "markersize": 2, "linewidth": 1.5}
    ax.plot(at, p50, color=GREEN, label="p50", **style)
    ax.plot(at, p99, color=PURPLE, label="p99", **style)
    ax.axhline(TARGET_MS, color=RED, linestyle="--", label=f"target {TARGET_MS} ms")


def _depth(ax: Axes, samples: Sequence[Sample], start: float) -> None:
    ax.set_title("Events accepted and not finished")
    ax.stackplot(
        [s.at - start for s in samples],
        [s.working_routing + s.working_lookup for s in samples],
        [s.retrying for s in samples],
        [s.waiting_lookup + s.waiting_routing for s in samples],
        colors=[GREEN, ORANGE, BLUE],
        labels=["in a routing call", "waiting for a retry", "queued"],
    )
    ax.set_ylim(bottom=0)


def _rates(ax: Axes, samples: Sequence[Sample], start: float) -> None:
    ax.set_title("Completed and retried, events a second")
    for counter, color, label in (
        ("done", GREEN, "completed"),
        ("retried", ORANGE, "sent to a retry"),
    ):
        points = [(at - start, rate) for at, rate in rates(samples, counter) if at >= start]
        ax.plot(*zip(*points, strict=True), color=color, label=label, linewidth=1.5)
    ax.set_ylim(bottom=0)


def _calls(ax: Axes, calls: Mapping[int, int]) -> None:
    ax.set_title("Routing calls that an event needed")
    names = [f"{needed} call" + "s" * (needed > 1) for needed in calls]
    colors = [GREEN if needed == 1 else ORANGE for needed in calls]
    bars = ax.barh(names, list(calls.values()), color=colors, height=0.7)
    ax.bar_label(bars, [f"{events:,} events" for events in calls.values()], padding=6, color=GREY)
    ax.margins(x=0.3)
    ax.invert_yaxis()
    ax.xaxis.set_visible(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
