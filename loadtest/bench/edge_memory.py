"""Does an edge process grow? Its memory over a million requests."""

from __future__ import annotations

from loadtest.bench import wrk
from loadtest.harness import signed
from loadtest.harness.environment import Environment, Options, started
from loadtest.harness.figures import Figure, Section, at_most
from loadtest.harness.processes import resident_mib
from loadtest.harness.progress import say

REQUESTS = 1_000_000
PART = 150_000  # at the most; what is sent in the seconds of one run
SECONDS = 10.0


def measure(options: Options) -> Section:
    wrk.find()
    wanted = options.pick(REQUESTS, REQUESTS // 5)
    sizes: list[float] = []
    answered = 0
    with started(options) as env:
        env.stop_workers()
        env.fsync("everysec")
        while answered < wanted:
            env.empty()
            requests = signed.write(env.folder / "part.requests", f"m{len(sizes)}", PART)
            answered += wrk.run(env.url, requests, SECONDS).answers
            sizes.append(_largest(env))
            say(f"{answered:,} requests: {sizes[-1]:.1f} MiB")
    return Section(
        "edge-memory",
        f"one edge process over {answered:,} requests",
        "wrk at 100 connections, unique events; VmRSS of the largest edge process after each "
        f"{SECONDS:g} s, requests to all of them counted; workers stopped",
        (
            Figure("the largest, at the end", sizes[-1], "MiB", at_most(60)),
            Figure("growth since the first run", sizes[-1] - sizes[0], "MiB", at_most(1)),
        ),
    )


def _largest(env: Environment) -> float:
    return max(size for (kind, _), size in resident_mib(env.stack).items() if kind == "gateway")
