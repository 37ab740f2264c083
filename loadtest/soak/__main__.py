"""``EVENTS=300000 python -m loadtest.soak``: the soak and its report. Exit code 1 when anything
is short of its target: what grows with the events will end the process that it grows in."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

from conf.settings import ROOT
from loadtest.harness import machine, report
from loadtest.harness.signals import unwind_on_sigterm
from loadtest.soak.measure import measure

EVENTS = 300_000
EVENTS_MIN = 2_000


def main() -> int:
    text = os.environ.get("EVENTS") or str(EVENTS)
    if not text.isdecimal() or int(text) < EVENTS_MIN:
        print(
            f"EVENTS={text!r} is not allowed: it must be a count from {EVENTS_MIN}", file=sys.stderr
        )
        return 64  # EX_USAGE
    unwind_on_sigterm()
    about = machine.describe()
    print("\n".join(report.aligned([("machine", ""), *about.items()], indent="")), flush=True)
    section = measure(int(text))
    print(f"\n{report.text(section)}", flush=True)
    folder = ROOT / ".run" / "soak"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(report.document(about, {"events": int(text)}, [section], {}))
    print(f"\nas JSON: {path.relative_to(ROOT)}")
    return int(any(figure.verdict == "short" for figure in section.figures))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
