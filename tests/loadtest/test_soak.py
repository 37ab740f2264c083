"""The soak's arithmetic, and that it finds what it is there to find."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conf.sources.loader import load_sources
from loadtest.harness.wait import RunFailed
from loadtest.soak.leftovers import FOR_EVER, remaining, unknown
from loadtest.soak.measure import FLAT, only_bench
from loadtest.soak.slope import Growth, slope
from scheduler.connection import RedisConnection
from scheduler.keys import Keys
from scheduler.queue import Queue
from tests.support.queue_moves import accept
from tests.support.servers import RedisServer, redis_binaries

KEYS = Keys()


def test_the_tombstones_of_a_soak_expire_when_it_says(tmp_path: Path) -> None:
    sources = load_sources(only_bench(tmp_path), {}, "local")
    assert list(sources) == ["bench"]
    assert sources.remember_at_least_seconds == 0


def test_the_slope_is_that_of_the_line_with_the_least_squares() -> None:
    assert slope((x, 7 + 3 * x) for x in range(10)) == pytest.approx(3)
    assert slope((x, 5.0) for x in range(10)) == 0
    # Computed on paper: means 3 and 4, sum of products 6, of squares 10.
    assert slope([(1, 2), (2, 4), (3, 5), (4, 4), (5, 5)]) == pytest.approx(0.6)


def test_noise_that_comes_and_goes_is_no_growth() -> None:
    assert abs(slope((x, 40 + x % 2) for x in range(1001))) < 1e-3


@pytest.mark.parametrize(
    "points",
    [[(1.0, 1.0)] * 4, [(1.0, float(y)) for y in range(9)]],
    ids=["too few", "no progress"],
)
def test_a_line_that_cannot_be_drawn_is_an_error(points: list[tuple[float, float]]) -> None:
    with pytest.raises(RunFailed):
        slope(points)


def grown(bytes_an_event: float) -> Growth:
    """A process that takes its 40 MiB in the warm-up and then keeps so much of each event, and
    a process that keeps nothing."""
    growth = Growth(100_000)
    for done in range(0, 100_000, 1000):
        mib = min(40.0, done / 400) + done * bytes_an_event / 2**20
        growth.note(done, {("worker-lookup", 7): mib, ("worker-lookup", 8): 40.0})
    return growth


@pytest.mark.parametrize(("bytes_an_event", "flat"), [(0, True), (8, True), (20, False)])
def test_a_process_that_keeps_something_of_each_event_is_found(
    bytes_an_event: float, flat: bool
) -> None:
    leaking, clean = grown(bytes_an_event).slopes("worker-lookup")
    assert leaking == pytest.approx(bytes_an_event * 100_000 / 2**20, abs=1e-6)
    assert FLAT.met(leaking) is flat
    assert clean == 0


def test_a_process_that_was_restarted_is_named() -> None:
    growth = Growth(100)
    growth.note(0, {("ops", 1): 30.0, ("scheduler", 2): 30.0})
    growth.note(50, {("ops", 1): 30.0, ("scheduler", 3): 30.0})
    assert growth.restarted() == ["scheduler 2", "scheduler 3"]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[RedisConnection]:
    server = RedisServer(redis_binaries()[-1], tmp_path).start()
    connection = RedisConnection(server.url)
    yield connection
    connection.close()
    server.stop()


def carry(connection: RedisConnection, dedup_window: float) -> None:
    """An event from its acceptance to its tombstone, and what the scheduler does then."""
    queue = Queue(connection)
    accept(queue, "bench:1", quota=(9, 9))
    (event,) = queue.reserve("lookup", 1, owner="h/w", boot="1", lease_seconds=9)
    queue.alive("h/w", {"pid": 1}, 60)
    queue.done(event, "recorded")
    queue.promote(
        lease_seconds=9, max_crashes=5, dedup_window_seconds=dedup_window, tombstones_max=9
    )


def test_of_an_event_whose_tombstone_expired_only_the_fixed_keys_remain(
    connection: RedisConnection,
) -> None:
    carry(connection, dedup_window=-1)
    left = remaining(connection)
    assert {KEYS.stats, KEYS.quota("bench"), KEYS.process("h/w")} <= left.keys()
    assert left[KEYS.stats] == FOR_EVER < left[KEYS.process("h/w")]
    assert unknown(left, ["bench"]) == []


def test_a_tombstone_a_body_a_strange_quota_and_a_process_without_an_end_are_named(
    connection: RedisConnection,
) -> None:
    carry(connection, dedup_window=60)
    connection.command("SET", KEYS.body("bench:2"), "leaked")
    connection.command("HSET", KEYS.quota("unknown"), "tokens", "1")
    connection.command("HSET", KEYS.process("h/ended"), "pid", "1")
    assert unknown(remaining(connection), ["bench"]) == sorted(
        [
            KEYS.done,
            KEYS.event("bench:1"),
            KEYS.body("bench:2"),
            KEYS.quota("unknown"),
            KEYS.process("h/ended"),
        ]
    )
