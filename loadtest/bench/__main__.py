"""``python -m loadtest.bench [name …] [--quick] [--set NAME=VALUE]``: the benchmarks, one after
another, then the report. Exit code 0 unless a run itself failed: a figure that is short of its
target does not change it, for figures depend on the machine. `recovery` selects all of RECOVERY."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from conf.settings import ROOT
from loadtest.bench import burst, cost, drain, edge_memory, ingest, latency, memory, verbs
from loadtest.bench.recovery import edge, scheduler, stores, workers
from loadtest.harness import machine, report
from loadtest.harness.environment import Options
from loadtest.harness.figures import Section
from loadtest.harness.progress import say
from loadtest.harness.signals import unwind_on_sigterm
from loadtest.harness.wait import ToolMissing

Benchmark = Callable[[Options], Section]

SPEED: Mapping[str, Benchmark] = {
    "ingest": ingest.measure,
    "latency": latency.measure,
    "burst": burst.measure,
    "drain": drain.measure,
    "cost": cost.measure,
    "memory": memory.measure,
    "edge-memory": edge_memory.measure,
    "verbs": verbs.measure,
}
RECOVERY: Mapping[str, Benchmark] = {
    "worker-killed": workers.restarted,
    "worker-lost": workers.lost,
    "redis-killed": stores.redis,
    "mongod-killed": stores.mongod,
    "scheduler-killed": scheduler.killed,
    "edge-outage": edge.measure,
}
BENCHMARKS = {**SPEED, **RECOVERY}


def main(arguments: list[str]) -> int:
    names, options = _parse(arguments)
    unwind_on_sigterm()
    about = machine.describe()
    print("\n".join(report.aligned([("machine", ""), *about.items()], indent="")), flush=True)
    sections, failed, code = [], {}, 0
    for name in names or SPEED:
        say(name)
        try:
            sections.append(BENCHMARKS[name](options))
        except Exception as error:  # the other benchmarks still run
            failed[name] = f"{type(error).__name__}: {error}"
            print(f"\n{name}: not measured: {error}", flush=True)
            # A missing tool is no failure, unless this benchmark was asked for by name.
            code |= int(not isinstance(error, ToolMissing) or bool(names))
        else:
            print(f"\n{report.text(sections[-1])}", flush=True)
    folder = ROOT / ".run" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    chosen = {"quick": options.quick, "settings": dict(options.settings)}
    path.write_text(report.document(about, chosen, sections, failed))
    print(f"\nas JSON: {path.relative_to(ROOT)}")
    return code


def _parse(arguments: list[str]) -> tuple[list[str], Options]:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="name",
        help=f"which to run ({', '.join(SPEED)}); recovery: {', '.join(RECOVERY)}",
    )
    parser.add_argument("--quick", action="store_true", help="shorter runs, rougher figures")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting for every stack",
    )
    given = parser.parse_args(arguments)
    if platform.system() != "Linux":
        parser.error("needs Linux: CPU and memory of the processes are read from /proc")
    names = [each for name in given.names for each in (RECOVERY if name == "recovery" else [name])]
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    pairs = [text.partition("=") for text in given.set]
    return names, Options(given.quick, {name: value for name, _, value in pairs})


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
