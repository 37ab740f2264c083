"""Keeps the accounts and logs of a run, so that a failure can be explained."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from loadtest.harness.accounts import Accounts
from loadtest.harness.verdict import Problem


def keep(
    folder: Path, seed: int, accounts: Accounts, problems: Iterable[Problem], logs: Path
) -> Path:
    """The new folder that holds them."""
    name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-seed-{seed}"
    # Another run may end in the same second: the pid keeps the names apart.
    place = folder / f"{name}-{os.getpid()}"
    place.mkdir(parents=True)
    document = {**asdict(accounts), "problems": [asdict(problem) for problem in problems]}
    with (place / "accounts.json").open("w") as file:
        json.dump(document, file, default=_text, indent=1)
    shutil.copytree(logs, place / "log")
    return place


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
