"""Writes the evidence of a run: a folder that may be read without running anything."""

from __future__ import annotations

import json
import time
from pathlib import Path

from loadtest.harness import history
from loadtest.load import sampling
from loadtest.load.picture import Scene, draw
from loadtest.load.summary import Measured, document, page

BAR = 50


class Console:
    """Prints lines with the time since the start, and remembers them."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        for part in text.splitlines():
            self.lines.append(f"[{time.monotonic() - self._started:6.1f} s] {part}")
            print(self.lines[-1], flush=True)


def clear(folder: Path) -> None:
    """No file of a former run may be taken for this one's."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.suffix in (".csv", ".html", ".json", ".md", ".svg", ".txt"):
            old.unlink()


def publish(folder: Path, measured: Measured, console: Console) -> None:
    """Everything but locust's own reports, which are there already."""
    summary = document(measured)
    for problem in measured.problems:
        console.say(f"FAILED: {problem}")
    console.say("passed" if summary["passed"] else "NOT passed")
    texts = {
        "summary.json": json.dumps(summary, indent=2),
        "summary.md": page(summary).rstrip(),
        "picture.svg": draw(scene(measured)).rstrip(),
        "retries.txt": "\n".join(histogram(measured.verdict.attempts)),
        "audit.txt": f"$ python -m gateway audit --effects\n{measured.audit}",
        "run.txt": "\n".join(["$ make load", *console.lines]),
    }
    for name, text in texts.items():
        (folder / name).write_text(text + "\n")
    history.write(folder / "burst_answers.csv", measured.burst)
    sampling.write(folder / "samples.csv", measured.samples)


def scene(m: Measured) -> Scene:
    """What the picture shows of a run."""
    first = {
        name: min(a.at for a in run)
        for name, run in (("burst", m.burst), ("sustained", m.sustained))
    }
    last = max(a.at + a.ms / 1000 for a in m.sustained)
    total = len(m.burst) + len(m.sustained)
    return Scene(
        title=f"{total:,} requests, {sum(m.failures.values())} failures, "
        f"{m.verdict.recovered:,} events completed after a retry",
        subtitle=f"{len(m.burst)} at once, then {len(m.sustained):,} by 100 users; a routing call "
        f"takes 2 s and fails at first for a fifth of the events; {m.slots} slots",
        answers=[*m.burst, *m.sustained],
        samples=m.samples,
        attempts=m.verdict.attempts,
        phases={
            "burst": (first["burst"], m.burst_end),
            "sustained load": (first["sustained"], last),
            "drain": (last, m.end),
        },
    )


def histogram(attempts: dict[int, int]) -> list[str]:
    """Routing calls that an event needed, as lines of text."""
    most = max(attempts.values(), default=1)
    return [
        "routing calls   events",
        *(
            f"{calls:>13}   {events:>6}  {'█' * max(1, round(BAR * events / most))}"
            for calls, events in sorted(attempts.items())
        ),
    ]
