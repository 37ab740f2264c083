"""``make demo``: a burst of signed events against a slow, failing Routing Service, and the books.

Everything is real and temporary: a stack of its own on free ports, gone when the demo ends.
"""

from __future__ import annotations

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
from conf.sources.model import Source, Sources
from conf.sources.statuses import Status
from gateway.cli import audit
from gateway.cli.seed import insert_missing
from gateway.courier.payload import payload
from gateway.courier.signing import sign
from gateway.stack.preflight import PreflightError
from gateway.stack.readiness import StackError
from gateway.stack.servers import Unusable
from gateway.stack.stack import Stack
from loadtest.harness.figures import percentile
from loadtest.harness.http_client import Post, Reply, burst
from scheduler.connection import RedisConnection
from scheduler.inspector import Counters, Inspector
from workers import mongo

EVENTS = 100
DUPLICATES_AT_ONCE = 10  # in the burst itself
DUPLICATES_LATER = 10  # while the first ones are being routed and retried
FAILING_SHARE = 0.3  # of the events, whose first routing call fails
ROUTING_SECONDS = 2.0
DRAIN_LIMIT_SECONDS = 45.0
SETTLE_ANSWERS, SETTLE_SECONDS, SETTLE_LIMIT_SECONDS = 200, 0.01, 10.0
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
    """What was seen from outside."""

    replies: list[Reply]
    expected: list[int]
    seconds: float

    @property
    def failed(self) -> int:
        return sum(
            reply.status != wanted
            for reply, wanted in zip(self.replies, self.expected, strict=True)
        )

    def acks(self, share: float) -> float:
        return round(percentile([reply.ms for reply in self.replies], share), 2)


def main() -> int:
    print(
        "starting a stack of its own: Redis, MongoDB, routing simulator, gateway, workers …",
        flush=True,
    )
    started = time.monotonic()
    try:
        with Stack.temporary(env={"PROFILE": "demo"}) as stack:
            say(started, "everything is up")
            return demonstrate(stack, started)
    except (PreflightError, SettingsError, StackError, Unusable) as problem:
        print(problem, file=sys.stderr)
        return 1


def demonstrate(stack: Stack, started: float) -> int:
    inspector = Inspector(RedisConnection(stack.redis_url))
    database = mongo.connect(stack.mongo_url, 1)
    insert_missing(database)
    say(started, "1,000 shipments with open orders are in MongoDB")
    behave(stack, fail_first=1, fail_first_ratio=FAILING_SHARE, fail_status=503, seed=SEED)
    say(
        started,
        f"the Routing Service takes {ROUTING_SECONDS:g} s a call, and the first call for "
        f"{FAILING_SHARE:.0%} of the events fails (503)",
    )

    settle(stack)
    sources = load_sources(Settings().sources_file, stack.env, "demo")
    posts = [*events(sources), hopeless(sources)]
    again = random.Random(SEED).sample(range(EVENTS), DUPLICATES_AT_ONCE + DUPLICATES_LATER)
    wave = posts + [posts[number] for number in again[:DUPLICATES_AT_ONCE]]
    say(started, f"posting {len(wave)} signed events at once, {DUPLICATES_AT_ONCE} of them twice")
    begun = time.monotonic()
    replies = burst(stack.gateway_url, wave)
    say(started, f"all answered: slowest after {max(r.ms for r in replies):.0f} ms")
    # Which of two equal requests comes first is the kernel's choice.
    replies, expected = pair(replies, again[:DUPLICATES_AT_ONCE], len(posts))

    show = Progress(inspector, begun)
    show.until(lambda books: time.monotonic() - begun > ROUTING_SECONDS)
    late = [posts[number] for number in again[DUPLICATES_AT_ONCE:]]
    replies += burst(stack.gateway_url, late)
    expected += [200] * len(late)
    say(started, f"posted {len(late)} of them once more, while they are being routed and retried")
    show.until(lambda books: books.unfinished == 0)
    run = Run(replies, expected, time.monotonic() - begun)
    return report(run, inspector, audit.examine(inspector, database, effects=True), stack)


def events(sources: Sources) -> list[Post]:
    """EVENTS - 1 signed events of several couriers, a shipment each."""
    now = datetime.now(UTC)
    posts = []
    for n in range(1, EVENTS):
        source, status = sources[SOURCES[n % len(SOURCES)]], STATUSES[n % len(STATUSES)]
        if status not in source.statuses.values():  # not every courier has a word for everything
            source = sources["bench"]
        body = payload(source, f"evt_{n}", f"SHP-{n}", status, now)
        posts.append(signed(source, f"evt_{n}", body))
    return posts


def hopeless(sources: Sources) -> Post:
    """An event whose status its courier's table does not know: no retry mends that."""
    body = {"id": "evt_hopeless", "shipment_id": "SHP-1000", "status": "eaten_by_a_dog"}
    return signed(sources["bench"], "evt_hopeless", orjson.dumps(body))


def signed(source: Source, id: str, body: bytes) -> Post:
    return Post(f"/v1/events/{source.name}", sign(source, id, body, time.time()), body)


def pair(replies: list[Reply], again: list[int], unique: int) -> tuple[list[Reply], list[int]]:
    """The replies with, of two to the same event, the 202 first; and what each must be."""
    ordered = list(replies)
    for place, number in enumerate(again, start=unique):
        if ordered[number].status == 200:
            ordered[number], ordered[place] = ordered[place], ordered[number]
    return ordered, [202] * unique + [200] * len(again)


def behave(stack: Stack, **behaviour: object) -> None:
    answer = urllib3.request("PUT", f"{stack.routing_url}/behaviour", json=behaviour, retries=False)
    if answer.status != 200:
        raise StackError(f"the simulator refused {behaviour}: {answer.data.decode()}")


def settle(stack: Stack) -> None:
    """Wait until the last processes have started: until then their imports take the cores, and it
    is the start that would be measured. Gives up after SETTLE_LIMIT_SECONDS on a busy machine."""
    until = time.monotonic() + SETTLE_LIMIT_SECONDS
    quick = 0
    while quick < SETTLE_ANSWERS and time.monotonic() < until:
        asked = time.monotonic()
        urllib3.request("GET", f"{stack.gateway_url}/readyz", retries=False)
        quick = quick + 1 if time.monotonic() - asked < SETTLE_SECONDS else 0


class Progress:
    """A line a second about what is where."""

    def __init__(self, inspector: Inspector, begun: float) -> None:
        self._inspector, self._begun = inspector, begun

    def until(self, over: Callable[[Counters], bool]) -> None:
        """Look until it is over, DRAIN_LIMIT_SECONDS at most."""
        next_line = time.monotonic()
        while True:
            books = self._inspector.counters()
            if time.monotonic() >= next_line:
                next_line += 1
                self._print(books)
            if over(books) or time.monotonic() - self._begun > DRAIN_LIMIT_SECONDS:
                return
            time.sleep(0.05)

    def _print(self, books: Counters) -> None:
        accepted, done = books.count("accepted"), books.count("done")
        bar = "█" * round(30 * done / max(1, accepted))
        print(
            f"  {time.monotonic() - self._begun:5.1f} s  {bar:░<30} {done:>3}/{accepted} done   "
            f"waiting {books.waiting_total:>3}   in work {books.locked_total:>3}   "
            f"retrying {books.retrying:>3}   dead {books.dead}",
            flush=True,
        )


def report(run: Run, inspector: Inspector, findings: audit.Findings, stack: Stack) -> int:
    books = findings.counters
    simulator = urllib3.request("GET", f"{stack.routing_url}/stats").json()
    dead = next(iter(inspector.listed("dead", 0, 1)), None)
    balanced = findings.clean and books.unfinished == 0
    rows = [
        ("events posted", f"{len(run.replies)}, {run.failed} answered other than they had to be"),
        ("accepted (202)", f"{books.count('accepted')}"),
        (
            "duplicates (200)",
            f"{books.count('duplicates')}, none processed twice: "
            f"{simulator['repeats']} routing calls repeated after a success",
        ),
        ("acknowledged in", f"p50 {run.acks(0.5):g} ms, p99 {run.acks(0.99):g} ms, all at once"),
        (
            "routing calls",
            f"{simulator['calls']}: {simulator['succeeded']} answered after 2 s, "
            f"{simulator['failed']} failed, {simulator['max_concurrent']} at the same time",
        ),
        ("retries", f"{books.count('retried')}, with backoff and jitter"),
        ("completed", f"{books.count('done')} in {run.seconds:.1f} s"),
        (
            "dead letters",
            f"{books.dead}"
            + (
                f": {dead.id}, {dead.fields['reason']}: {dead.fields.get('last_error')}"
                if dead
                else ""
            ),
        ),
        *(("books", line) for line in audit.report(findings)),
    ]
    print("\nreport")
    for name, text in rows:
        print(f"  {name:<18} {text}")
    good = (
        run.failed == 0
        and balanced
        and books.count("retried") > 0
        and books.dead == 1
        and books.count("done") == books.count("accepted") - 1 == EVENTS - 1
    )
    print(
        "\nnow yourself: make up, then  .venv/bin/python -m gateway send --shipment SHP-1"
        "  and  .venv/bin/python -m gateway status"
        if good
        else "\nsomething is not as it must be; see above"
    )
    print(
        orjson.dumps(
            {
                "posted": len(run.replies),
                "accepted": books.count("accepted"),
                "duplicates": books.count("duplicates"),
                "failed_requests": run.failed,
                "ack_p50_ms": run.acks(0.5),
                "ack_p99_ms": run.acks(0.99),
                "retries": books.count("retried"),
                "completed": books.count("done"),
                "dead": books.dead,
                "audit": "balanced" if balanced else "not balanced",
            }
        ).decode()
    )
    return 0 if good else 1


def say(started: float, text: str) -> None:
    print(f"[{time.monotonic() - started:5.1f} s] {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
