"""``python -m loadtest.chaos [--duration SECONDS] [--seed N]``: what ``make chaos`` runs."""

from __future__ import annotations

import argparse
import random
import signal
import sys

from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from conf.settings import ROOT, SettingsError
from gateway.stack.preflight import PreflightError
from gateway.stack.readiness import StackError
from gateway.stack.servers import Unusable
from loadtest.chaos.run import Options, run
from loadtest.harness.signals import unwind_on_sigterm
from loadtest.harness.wait import RunFailed

DURATION_SECONDS = 180.0
EVIDENCE = ROOT / ".run" / "chaos"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument(
        "--duration",
        type=_seconds,
        default=DURATION_SECONDS,
        help="seconds of load and faults (180)",
    )
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run: the same faults")
    parser.add_argument(
        "--keep", action="store_true", help="keep the accounts and logs of a good run, too"
    )
    given = parser.parse_args(arguments)
    seed = random.randrange(1_000_000) if given.seed is None else given.seed
    # A shell ignores the signal for what it starts in the background, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    unwind_on_sigterm()
    try:
        return run(Options(given.duration, seed, EVIDENCE, given.keep))
    except (
        PreflightError,
        SettingsError,
        StackError,
        Unusable,
        PyMongoError,
        RedisError,
        RunFailed,
    ) as problem:
        print(f"the run itself failed: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; everything that was started is gone", file=sys.stderr)
        return 130


def _seconds(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 86_400:
        raise argparse.ArgumentTypeError("from 1 to 86400 seconds")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
