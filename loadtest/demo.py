"""``make demo``: a burst of signed events against a slow, failing Routing Service, and the audit.

Everything is real and temporary: a stack of its own on free ports, removed when the demo ends.
"""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
import urllib3

from conf.settings import Settings, SettingsError
from conf.sources.loader import load_sources
from conf.sources.model import Sources
from conf.sources.statuses import Status
from gateway.cli import audit
from gateway.cli.seed import insert_missing
from gateway.courier.payload import payload
from gateway.stack.preflight import PreflightError
from gateway.stack.readiness import StackError
from gateway.stack.servers import Unusable
from gateway.stack.stack import Stack
from loadtest.harness.figures import percentile
from loadtest.harness.http_client import Reply, Request, burst
from loadtest.harness.progress import Every, Progress
from loadtest.harness.signed import signed
from loadtest.harness.simulator import Simulator
from loadtest.harness.wait import RunFailed, WaitTimedOut, wait_until
from scheduler.connection import RedisConnection
from scheduler.inspector import Counters, Inspector
from workers import mongo

EVENTS = 100
DUPLICATES_AT_ONCE = 10  # in the burst itself
DUPLICATES_LATER = 10  # while the first ones are being routed and retried
FAILING_SHARE = 0.3  # of the events, whose first routing call fails
ROUTING_SECONDS = 2.0
DRAIN_LIMIT_SECONDS = 45.0
# The stack is quiet when so many answers in a row come within so many seconds.
QUIET_ANSWERS, QUIET_SECONDS, QUIET_LIMIT_SECONDS = 200, 0.01, 10.0
SEED = 7
# Seven in ten of the events need a route.
STATUSES = [
    Status.DELIVERY_FAILED,
    Status.EXCEPTION,
    Status.DELAYED,
    Status.PICKED_UP,
    Status.DELIVERY_FAILED,
    Status.EXCEPTION,
    Status.PICKED_UP,
    Status.IN_TRANSIT,
    Status.OUT_FOR_DELIVERY,
    Status.DELIVERED,
]
SOURCES = ["bench", "standard", "easypost"]


@dataclass
class Run:
    """expected: the statuses that the replies should have. seconds: until all was done."""

    replies: list[Reply]
    expected: list[int]
    seconds: float

    @property
    def failed(self) -> int:
        return sum(
            reply.status != wanted
            for reply, wanted in zip(self.replies, self.expected, strict=True)
        )

    def ack_ms(self, share: float) -> float:
        return round(percentile([reply.ms for reply in self.replies], share), 2)


def main() -> int:
    say = Progress()
    say("starting a stack of its own: Redis, MongoDB, routing simulator, gateway, workers …")
    try:
        with Stack.temporary(env={"PROFILE": "demo"}) as stack:
            say("everything is up")
            return demonstrate(stack, say)
    except (PreflightError, RunFailed, SettingsError, StackError, Unusable) as problem:
        print(problem, file=sys.stderr)
        return 1


def demonstrate(stack: Stack, say: Progress) -> int:
    inspector = Inspector(RedisConnection(stack.redis_url))
    database = mongo.connect(stack.mongo_url, 1)
    simulator = Simulator(stack.routing_url)
    insert_missing(database)
    say("1,000 shipments with open orders are in MongoDB")
    simulator.behave(fail_first=1, fail_first_ratio=FAILING_SHARE, fail_status=503, seed=SEED)
    say(
        f"the Routing Service takes {ROUTING_SECONDS:g} s a call, and the first call for "
        f"{FAILING_SHARE:.0%} of the events fails (503)"
    )

    wait_until_quiet(stack)
    sources = load_sources(Settings().sources_file, stack.env, "demo")
    requests = [*events(sources), malformed(sources)]
    again = random.Random(SEED).sample(range(EVENTS), DUPLICATES_AT_ONCE + DUPLICATES_LATER)
    first = requests + [requests[number] for number in again[:DUPLICATES_AT_ONCE]]
    say(f"posting {len(first)} signed events at once, {DUPLICATES_AT_ONCE} of them twice")
    began = time.monotonic()
    replies = burst(stack.gateway_url, first)
    say(f"all answered: slowest after {max(r.ms for r in replies):.0f} ms")
    # The kernel decides which of two equal requests comes first.
    replies, expected = pair(replies, again[:DUPLICATES_AT_ONCE], len(requests))

    watch = Watch(inspector, began)
    watch.until(lambda _: time.monotonic() - began > ROUTING_SECONDS)
    late = [requests[number] for number in again[DUPLICATES_AT_ONCE:]]
    replies += burst(stack.gateway_url, late)
    expected += [200] * len(late)
    say(f"posted {len(late)} of them once more, while they are being routed and retried")
    watch.until(lambda counters: counters.unfinished == 0)
    run = Run(replies, expected, time.monotonic() - began)
    findings = audit.examine(inspector, database, effects=True)
    return report(run, inspector, findings, simulator.stats())


def events(sources: Sources) -> list[Request]:
    """EVENTS - 1 signed events of several couriers, a shipment each."""
    now = datetime.now(UTC)
    requests = []
    for n in range(1, EVENTS):
        source, status = sources[SOURCES[n % len(SOURCES)]], STATUSES[n % len(STATUSES)]
        if status not in source.statuses.values():  # not every source has a word for it
            source = sources["bench"]
        body = payload(source, f"evt_{n}", f"SHP-{n}", status, now)
        requests.append(signed(source, f"evt_{n}", body, time.time()))
    return requests


def malformed(sources: Sources) -> Request:
    """An event whose status its source's table does not know, so that no retry can succeed."""
    body = {"id": "evt_malformed", "shipment_id": "SHP-1000", "status": "eaten_by_a_dog"}
    return signed(sources["bench"], "evt_malformed", orjson.dumps(body), time.time())


def pair(replies: list[Reply], again: list[int], unique: int) -> tuple[list[Reply], list[int]]:
    """The replies, with the 202 first of two to the same event; and the expected statuses."""
    ordered = list(replies)
    for place, number in enumerate(again, start=unique):
        if ordered[number].status == 200:
            ordered[number], ordered[place] = ordered[place], ordered[number]
    return ordered, [202] * unique + [200] * len(again)


def wait_until_quiet(stack: Stack) -> None:
    """Wait until the last processes have started: until then their imports use the cores, and the
    acknowledgements would measure the start. Gives up on a busy machine."""
    quick = 0

    def quiet() -> bool:
        nonlocal quick
        asked = time.monotonic()
        urllib3.request("GET", f"{stack.gateway_url}/readyz", retries=False)
        quick = quick + 1 if time.monotonic() - asked < QUIET_SECONDS else 0
        return quick >= QUIET_ANSWERS

    with contextlib.suppress(WaitTimedOut):
        wait_until(quiet, QUIET_LIMIT_SECONDS, "a quiet stack", poll_seconds=0)


class Watch:
    """A line a second about how many events are where. began: of the burst."""

    def __init__(self, inspector: Inspector, began: float) -> None:
        self._inspector, self._began = inspector, began

    def until(self, over: Callable[[Counters], bool]) -> None:
        """Watch until it is over, or DRAIN_LIMIT_SECONDS after the beginning."""
        line = Every(1)

        def watched() -> bool:
            counters = self._inspector.counters()
            if line.due():
                self._print(counters)
            return over(counters)

        left = self._began + DRAIN_LIMIT_SECONDS - time.monotonic()
        with contextlib.suppress(WaitTimedOut):  # the report shows what is not done
            wait_until(watched, left, "all events to be done", poll_seconds=0.05)

    def _print(self, counters: Counters) -> None:
        accepted, done = counters.count("accepted"), counters.count("done")
        bar = "█" * round(30 * done / max(1, accepted))
        print(
            f"  {time.monotonic() - self._began:5.1f} s  {bar:░<30} {done:>3}/{accepted} done   "
            f"waiting {counters.waiting_total:>3}   in work {counters.locked_total:>3}   "
            f"retrying {counters.retrying:>3}   dead {counters.dead}",
            flush=True,
        )


def report(
    run: Run, inspector: Inspector, findings: audit.Findings, simulator: dict[str, int]
) -> int:
    counters = findings.counters
    dead = next(iter(inspector.listed("dead", 0, 1)), None)
    balanced = findings.clean and counters.unfinished == 0
    rows = [
        ("events posted", f"{len(run.replies)}, {run.failed} answered other than expected"),
        ("accepted (202)", f"{counters.count('accepted')}"),
        (
            "duplicates (200)",
            f"{counters.count('duplicates')}, none processed twice: "
            f"{simulator['repeats']} routing calls repeated after a success",
        ),
        (
            "acknowledged in",
            f"p50 {run.ack_ms(0.5):g} ms, p99 {run.ack_ms(0.99):g} ms, all at once",
        ),
        (
            "routing calls",
            f"{simulator['calls']}: {simulator['succeeded']} answered after 2 s, "
            f"{simulator['failed']} failed, {simulator['max_concurrent']} at the same time",
        ),
        ("retries", f"{counters.count('retried')}, with backoff and jitter"),
        ("completed", f"{counters.count('done')} in {run.seconds:.1f} s"),
        (
            "dead letters",
            f"{counters.dead}"
            + (
                f": {dead.id}, {dead.fields['reason']}: {dead.fields.get('last_error')}"
                if dead
                else ""
            ),
        ),
        *(("audit", line) for line in audit.report(findings)),
    ]
    print("\nreport")
    for name, text in rows:
        print(f"  {name:<18} {text}")
    good = (
        run.failed == 0
        and balanced
        and counters.count("retried") > 0
        and counters.dead == 1
        and counters.count("done") == counters.count("accepted") - 1 == EVENTS - 1
    )
    print(
        "\nnow yourself: make up, then  .venv/bin/python -m gateway send --shipment SHP-1"
        "  and  .venv/bin/python -m gateway status"
        if good
        else "\nnot everything is as expected; see above"
    )
    print(
        orjson.dumps(
            {
                "posted": len(run.replies),
                "accepted": counters.count("accepted"),
                "duplicates": counters.count("duplicates"),
                "failed_requests": run.failed,
                "ack_p50_ms": run.ack_ms(0.5),
                "ack_p99_ms": run.ack_ms(0.99),
                "retries": counters.count("retried"),
                "completed": counters.count("done"),
                "dead": counters.dead,
                "audit": "balanced" if balanced else "not balanced",
            }
        ).decode()
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
