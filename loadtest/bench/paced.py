"""Starts the open loop and reads what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from urllib.parse import urlsplit

from conf.settings import ROOT
from loadtest.bench.pacer import ANSWER_SECONDS, LEAD_SECONDS
from loadtest.harness.figures import percentile
from loadtest.harness.signed import RequestFile
from loadtest.harness.wait import RunFailed

START_SECONDS = 10


@dataclass(frozen=True)
class Paced:
    """lag_ms: how late a request was sent. busy: share of a core that the generator used."""

    latency_ms: list[float]
    lag_ms: list[float]
    errors: int
    not_2xx: int
    busy: float

    def at(self, share: float) -> float:
        return percentile(self.latency_ms, share)


class Loop:
    """One run of the generator; it starts when this object is made."""

    def __init__(self, url: str, requests: RequestFile, rate: float) -> None:
        self._out = requests.path.with_suffix(".json")
        self._limit = START_SECONDS + LEAD_SECONDS + requests.count / rate + ANSWER_SECONDS
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "loadtest.bench.pacer",
                str(requests.path),
                str(self._out),
                str(urlsplit(url).port),
                str(requests.size_bytes),
                str(requests.count),
                str(rate),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
        )

    def result(self) -> Paced:
        """Wait for its end. Raises ``RunFailed`` unless every request was answered with a 2xx."""
        try:
            code = self._process.wait(self._limit)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        if code:
            raise RunFailed(f"the generator ended with {code}")
        found = json.loads(self._out.read_text())
        if found["errors"]:
            raise RunFailed(
                f"{found['errors']} of {len(found['lag'])} requests failed, "
                f"{found['not_2xx']} of them with an answer other than 2xx"
            )
        return Paced(
            [1000 * s for s in found["latency"]],
            [1000 * s for s in found["lag"]],
            found["errors"],
            found["not_2xx"],
            found["busy"],
        )
