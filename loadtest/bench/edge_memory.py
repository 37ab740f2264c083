"""Does an edge process stay as large as it is? A million requests, and its memory meanwhile."""

from __future__ import annotations

from loadtest.bench import signed, wrk
from loadtest.bench.figures import Figure, Section, at_most
from loadtest.bench.processes import resident_mib
from loadtest.bench.progress import say
from loadtest.bench.rig import Options, Rig, started

PART = 100_000
PATIENCE_SECONDS = 120.0


def measure(options: Options) -> Section:
    wrk.find()
    parts = options.pick(10, 2)
    sizes: list[float] = []
    with started(options) as rig:
        rig.stop_workers()
        rig.fsync("everysec")
        for number in range(parts):
            rig.empty()
            requests = signed.write(rig.folder / "part.requests", f"m{number}", PART)
            wrk.run(rig.url, requests, PATIENCE_SECONDS)
            sizes.append(_largest(rig))
            say(f"{(number + 1) * PART:,} requests: {sizes[-1]:.1f} MiB")
    return Section(
        "edge-memory", f"one edge process over {parts * PART:,} requests",
        "wrk at 100 connections, unique events; VmRSS of the largest edge process after each "
        f"{PART:,} requests to all of them; workers stopped",
        (Figure("the largest, at the end", sizes[-1], "MiB", at_most(60)),
         Figure(f"growth since the first {PART:,}", sizes[-1] - sizes[0], "MiB", at_most(1))))


def _largest(rig: Rig) -> float:
    return max(size for (kind, _), size in resident_mib(rig.stack).items() if kind == "gateway")
