"""What a stack has used so far, and between two readings."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.harness.environment import Environment
from loadtest.harness.processes import cpu_seconds

# What our processes send. Redis counts the commands inside a script as well, so its total is not
# the number of round trips; no script runs one of these, and this module sends none (INFO, HGET).
ROUND_TRIPS = ("evalsha", "blpop")
# MongoDB's opcounters count findAndModify, heartbeats and serverStatus itself as "command".
OPERATIONS = ("find", "findAndModify", "update", "insert", "delete", "aggregate", "getMore")


@dataclass(frozen=True)
class Usage:
    """cpu: kind -> seconds. redis, mongo: command -> calls."""

    at: float
    cpu: Mapping[str, float]
    redis: Mapping[str, float]
    mongo: Mapping[str, float]

    def since(self, before: Usage) -> Usage:
        return Usage(
            self.at - before.at,
            _less(self.cpu, before.cpu, 1),
            _less(self.redis, before.redis, 1),
            _less(self.mongo, before.mongo, 1),
        )

    def beyond(self, idle: Usage) -> Usage:
        """Without what the stack uses at rest in the same time."""
        share = self.at / idle.at
        return Usage(
            self.at,
            _less(self.cpu, idle.cpu, share),
            _less(self.redis, idle.redis, share),
            _less(self.mongo, idle.mongo, share),
        )


def usage(env: Environment) -> Usage:
    info = env.redis.command("INFO", "commandstats").decode()
    calls = {
        name: float(count)
        for name, count in re.findall(r"^cmdstat_([^:]+):calls=(\d+)", info, re.MULTILINE)
    }
    sent = {name: calls.get(name, 0.0) for name in ROUND_TRIPS}
    commands = env.mongo.client.admin.command("serverStatus")["metrics"]["commands"]
    operations = {name: float(commands[name]["total"]) for name in OPERATIONS}
    return Usage(time.monotonic(), cpu_seconds(env.stack), sent, operations)


def _less(these: Mapping[str, float], those: Mapping[str, float], share: float) -> dict[str, float]:
    return {name: value - share * those.get(name, 0.0) for name, value in these.items()}
