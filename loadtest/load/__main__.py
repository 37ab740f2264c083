"""``make load``: the proof of load. A burst and a sustained run by locust, against a stack of its
own whose Routing Service is slow and fails; then the check that each accepted event had one effect.

Exit code 0 only if no request failed, everything drained, retries happened and succeeded, each
event had one effect and the audit balances. The evidence is written either way.
"""

from __future__ import annotations

import argparse
import sys

from conf.settings import ROOT, SettingsError
from gateway.stack.preflight import PreflightError
from gateway.stack.readiness import StackError
from gateway.stack.servers import Unusable
from gateway.stack.stack import Stack
from loadtest.harness.progress import Progress
from loadtest.harness.wait import RunFailed
from loadtest.load import evidence
from loadtest.load.proof import Proof


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.load")
    parser.add_argument("--seconds", type=int, default=60, help="length of the sustained run")
    parser.add_argument("--evidence", default="loadtest/evidence", metavar="FOLDER")
    options = parser.parse_args(arguments)
    folder = ROOT / options.evidence
    say = Progress()
    say("starting a stack of its own: Redis, MongoDB, routing simulator, gateway, workers")
    try:
        with Stack.temporary(env={"PROFILE": "demo"}) as stack:
            evidence.clear(folder)
            measured = Proof(stack, say, options.evidence, options.seconds).measure()
    except (PreflightError, RunFailed, SettingsError, StackError, Unusable) as problem:
        print(problem, file=sys.stderr)
        return 1
    evidence.publish(folder, measured, say)
    print(f"the evidence is in {options.evidence}: summary.md, picture.svg and the raw figures")
    return 1 if measured.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
