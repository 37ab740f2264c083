"""The soak itself: warm up, feed, wait until every event is done and its tombstone gone, check."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from conf.settings import Settings, load
from conf.sources.loader import load_sources
from conf.sources.statuses import Status
from loadtest.harness import stores
from loadtest.harness.accounts import Accounts
from loadtest.harness.checker import check
from loadtest.harness.environment import Environment, Options, started
from loadtest.harness.figures import Figure, Section, at_most
from loadtest.harness.processes import OURS, resident_mib
from loadtest.harness.progress import Every, say
from loadtest.harness.verdict import Verdict
from loadtest.harness.wait import wait_until
from loadtest.soak.feed import UNAVAILABLE, Feed
from loadtest.soak.leftovers import FOR_EVER, remaining, unknown
from loadtest.soak.slope import PER, WARM_UP, Growth
from scheduler.keys import Keys

STATUSES = (*(Status.IN_TRANSIT,) * 9, Status.DELAYED)  # one in ten needs a route
DEDUP_SECONDS = 20  # so that tombstones expire while the soak runs
FIRST = 500  # events before the memory of Redis at rest is measured
SAMPLE_SECONDS, LINE_SECONDS = 2.0, 15.0
RATE_MIN = 60  # events a second; slower than that and the soak gives up
START_SECONDS, DRAIN_SECONDS = 120, 300
# A process that keeps 10 bytes of each event grows by 1 MiB; one that keeps none varies by less.
FLAT = at_most(1.0)
REST = at_most(1.0)  # MiB that Redis may use more than before


class Soak:
    def __init__(self, env: Environment, events: int) -> None:
        self._env, self._events = env, events
        self.feed = Feed(env, time.monotonic() + START_SECONDS + events / RATE_MIN)
        self.growth = Growth(events)
        self._began = time.monotonic()
        self._sample, self._line = Every(SAMPLE_SECONDS), Every(LINE_SECONDS)

    def run(self) -> Section:
        env = self._env
        self.feed.post("first", FIRST, STATUSES, lambda: None)
        self._wait_until_forgotten()
        memory, size = self._used_mib(), self._size()
        say(
            f"at rest Redis uses {memory:.1f} MiB and holds {size} keys; now {self._events:,} "
            "events"
        )
        self._began = time.monotonic()
        self.feed.post("s", self._events, STATUSES, self._look)
        self._wait_until_done(self._look)
        seconds = time.monotonic() - self._began
        tombstones = int(env.redis.command("ZCARD", Keys().done))
        say(f"all done after {seconds:.0f} s; {tombstones:,} tombstones have yet to expire")
        self._wait_until_forgotten()
        left = remaining(env.redis)
        verdict = self._verdict()
        for line in verdict.lines():
            say(line)
        unavailable = self.feed.history.statuses[UNAVAILABLE]
        figures = (
            *self._slopes(),
            Figure("Redis: memory used more than before", self._used_mib() - memory, "MiB", REST),
            Figure("Redis: keys more than before", self._size() - size, "keys", at_most(2)),
            Figure(
                "Redis: keys that are none of the fixed ones",
                self._unknown(left),
                "keys",
                at_most(0),
            ),
            Figure("events done other than once", len(verdict.problems), "events", at_most(0)),
            Figure("processes that were restarted", len(self.growth.restarted()), "", at_most(0)),
            Figure("logs of all processes", _log_mib(env.stack.run_dir), "MiB"),
            Figure("events a second", self._events / seconds, "per s"),
        )
        return Section(
            "soak",
            f"{self._events:,} events, one in ten routed, as fast as they are done",
            f"resident memory of every process every {SAMPLE_SECONDS:g} s; the slope of a line by "
            f"least squares over the events done, after the first {WARM_UP:.0%}; of several "
            "processes of a kind the steepest; one event in twenty posted twice, "
            f"{self.feed.refused} requests with a wrong signature; {unavailable} answers "
            f"of 503, each posted again; DEDUP_WINDOW_SECONDS = {DEDUP_SECONDS}; Redis is looked "
            "at when all tombstones have expired",
            figures,
            self._notes(left, tombstones),
        )

    def _notes(self, left: dict[str, int], tombstones: int) -> tuple[str, ...]:
        keys = [
            f"{name} ({'for ever' if ttl == FOR_EVER else f'{ttl} ms'})"
            for name, ttl in sorted(left.items())
        ]
        ends = [f"{kind} {self.growth.last(kind):.1f}" for kind in self.growth.kinds()]
        return (
            f"keys that remain: {', '.join(keys)}",
            f"{tombstones:,} tombstones at the last event, 0 a little later",
            f"MiB at the end: {', '.join(ends)}",
            "mongod fills its cache up to the 256 MiB of conf/mongod.conf; the simulator keeps a "
            "count for each key, for the checker",
        )

    def _slopes(self) -> list[Figure]:
        found = []
        for kind in self.growth.kinds():
            each = self.growth.slopes(kind)
            target = FLAT if kind in (*OURS, "redis", "supervisord") else None
            found.append(
                Figure(
                    f"{kind}: growth each {PER:,} events",
                    max(each),
                    "MiB",
                    target,
                    each if len(each) > 1 else (),
                )
            )
        return found

    def _look(self) -> None:
        if not self._sample.due():
            return
        done = self._env.stat("done") - FIRST
        resident = resident_mib(self._env.stack)
        self.growth.note(done, resident)
        if not self._line.due():
            return
        most: dict[str, float] = {}
        for (kind, _), mib in resident.items():
            most[kind] = max(mib, most.get(kind, 0.0))
        tombstones = self._env.redis.command("ZCARD", Keys().done)
        seconds = max(0.1, time.monotonic() - self._began)
        say(
            f"{done:>7,} done, {done / seconds:,.0f}/s, {tombstones:,} "
            "tombstones; MiB: " + ", ".join(f"{kind} {mib:.1f}" for kind, mib in most.items())
        )

    def _wait_until_done(self, look: Callable[[], None] = lambda: None) -> None:
        def over() -> bool:
            look()
            return self._env.stat("backlog") == 0

        wait_until(over, DRAIN_SECONDS, "all events to be done")
        self._env.raise_if_dead()

    def _wait_until_forgotten(self) -> None:
        """All is done, and its tombstone has expired."""
        self._wait_until_done()
        wait_until(
            lambda: self._env.redis.command("ZCARD", Keys().done) == 0,
            DEDUP_SECONDS + 30,
            "all tombstones to expire",
        )

    def _verdict(self) -> Verdict:
        """Redis is not checked: the tombstones have expired."""
        ledger, shipments = stores.read_mongo(self._env.mongo.client)
        history, routed = self.feed.history, self._env.simulator.routed()
        accounts = Accounts(history.events, history.answers, None, ledger, shipments, routed)
        return check(accounts, retriable=(UNAVAILABLE,))

    def _used_mib(self) -> float:
        return self._env.used_memory_bytes() / 2**20

    def _size(self) -> int:
        return int(self._env.redis.command("DBSIZE"))

    def _unknown(self, left: dict[str, int]) -> int:
        settings = load(self._env.stack.env)
        names = unknown(left, load_sources(settings.sources_file, {}, "local"))
        for name in names:
            say(f"a key that should not be there: {name}")
        return len(names)


def _log_mib(run_dir: Path) -> float:
    return sum(path.stat().st_size for path in (run_dir / "log").iterdir()) / 2**20


def measure(events: int) -> Section:
    """The whole soak on a stack of its own."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "DEDUP_WINDOW_SECONDS": str(DEDUP_SECONDS),
            "LOG_LEVEL": "INFO",
            "SOURCES_FILE": str(only_bench(Path(folder))),
        }
        with started(Options(), settings) as env:
            soak = Soak(env, events)
            try:
                return soak.run()
            finally:
                soak.feed.close()


def only_bench(folder: Path) -> Path:
    """A sources file with the source `bench` only. While any source signs the time, tombstones are
    kept for twice its tolerance: ten minutes, in which none would expire."""
    table = re.search(
        r"^\[bench\]\n(?:(?!\[).*\n)+", Settings().sources_file.read_text(), re.MULTILINE
    )
    assert table is not None
    path = folder / "sources.toml"
    path.write_text(table[0])
    return path
