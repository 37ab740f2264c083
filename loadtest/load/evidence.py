"""Writes the evidence of a run: a folder that can be read without running anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from loadtest.harness import history
from loadtest.harness.progress import Progress
from loadtest.load import picture, sampling
from loadtest.load.summary import Measured, document, page, routing_calls

BAR_LENGTH = 50


def clear(folder: Path) -> None:
    """Remove the files of an earlier run."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.suffix in (".csv", ".html", ".json", ".md", ".svg", ".txt"):
            old.unlink()


def publish(folder: Path, measured: Measured, say: Progress) -> None:
    """Everything but locust's own reports, which are there already."""
    summary = document(measured)
    for problem in measured.problems:
        say(f"FAILED: {problem}")
    say("passed" if summary["passed"] else "NOT passed")
    texts = {
        "summary.json": json.dumps(summary, indent=2),
        "summary.md": page(summary).rstrip(),
        "retries.txt": "\n".join(histogram(routing_calls(measured.ledger))),
        "audit.txt": f"$ python -m gateway audit --effects\n{measured.audit}",
        "run.txt": "\n".join(["$ make load", *say.lines]),
    }
    for name, text in texts.items():
        (folder / name).write_text(text + "\n")
    picture.draw(folder / "picture.svg", measured)
    history.write(folder / "burst_answers.csv", measured.burst)
    sampling.write(folder / "samples.csv", measured.samples)


def histogram(calls: Mapping[int, int]) -> list[str]:
    """Routing calls that an event needed, as lines of text."""
    most = max(calls.values(), default=1)
    return [
        "routing calls   events",
        *(
            f"{needed:>13}   {events:>6}  {'█' * max(1, round(BAR_LENGTH * events / most))}"
            for needed, events in calls.items()
        ),
    ]
