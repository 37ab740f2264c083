"""``python -m scheduler`` as a process, with its own Redis."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from gateway.stack.environment import without_settings
from scheduler.connection import RedisConnection
from scheduler.queue import Queue
from tests.support.queue_moves import ID, KEYS, accept, dead_lettered, held, held_for_routing, take
from tests.support.servers import ROOT, RedisServer, await_true
from tests.support.store_audit import audit
from tests.support.store_snapshot import dump

Launch = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scheduler")


@pytest.fixture
def launch(own_server: RedisServer, folder: Path) -> Iterator[Launch]:
    """Start a scheduler with these settings, and wait until it promotes."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(**settings: str) -> subprocess.Popen[bytes]:
        clean = {k: v for k, v in without_settings(os.environ).items() if "SUPERVISOR" not in k}
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "scheduler"],
                cwd=ROOT,
                stderr=log,
                env={**clean, "REDIS_URL": own_server.url, **settings},
            )
        processes.append(process)
        store = own_server.client()
        store.hdel(KEYS.stats, "promoted_at")
        await_true(lambda: store.hexists(KEYS.stats, "promoted_at"), what="the scheduler")
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def own_store(own_server: RedisServer) -> Redis:
    return own_server.client()


@pytest.fixture
def own_queue(own_server: RedisServer) -> Iterator[Queue]:
    queue = Queue(RedisConnection(own_server.url))
    yield queue
    queue.connection.close()


def _now(store: Redis) -> float:
    """The clock of Redis, in seconds."""
    second, micros = store.time()
    return second + micros / 1e6


def test_retries_are_ready_when_they_are_due_and_an_earlier_one_wakes_the_scheduler(
    own_queue: Queue, own_store: Redis, launch: Launch
) -> None:
    launch()
    own_queue.retry(held(own_queue, "bench:far"), 3600, "timeout")
    lates = []
    for n in range(9):
        event = held(own_queue, f"bench:{n}")
        own_store.delete(KEYS.wake("lookup"))
        due = _now(own_store) + 0.05 + 0.02 * n
        own_queue.retry(event, 0.05 + 0.02 * n, "timeout")
        assert own_store.blpop([KEYS.wake("lookup")], timeout=10)
        lates.append(_now(own_store) - due)
        assert own_store.hget(KEYS.event(event.id), "state") == "ready"
    assert min(lates) >= -0.001  # Redis counts the due time in ms
    # One that is not woken sleeps for up to a second.
    assert statistics.median(lates) < 0.2
    assert own_store.hget(KEYS.event("bench:far"), "state") == "retry"


def test_an_expired_lock_is_taken_from_its_holder(
    own_queue: Queue, own_store: Redis, launch: Launch, folder: Path
) -> None:
    launch(LEASE_SECONDS="1")
    held_for_routing(own_queue, lease_seconds=0.2)
    await_true(lambda: own_store.hget(KEYS.event(ID), "state") == "ready", 5)
    assert own_store.hget(KEYS.event(ID), "crashes") == "1"
    await_true(lambda: b"1 locks expired" in (folder / "log").read_bytes(), 5)


def test_two_schedulers_promote_each_retry_once(
    own_queue: Queue, own_store: Redis, launch: Launch
) -> None:
    launch()
    launch()
    for n in range(60):
        own_queue.retry(held(own_queue, f"bench:{n}"), 0.002 * (n % 30), "timeout")
    await_true(lambda: own_store.llen(KEYS.ready("lookup", "bench")) == 60, 10)
    assert not own_store.exists(KEYS.retry)
    assert own_store.hget(KEYS.stats, "skipped") is None
    audit(dump(own_store))
    assert len({event.id for event in take(own_queue, 100)}) == 60


def test_when_one_of_two_schedulers_is_killed_the_other_continues(
    own_queue: Queue, own_store: Redis, launch: Launch
) -> None:
    launch().kill()
    launch()
    own_queue.retry(held(own_queue), 0.05, "timeout")
    await_true(lambda: own_store.hget(KEYS.event(ID), "state") == "ready", 5)


def test_it_continues_after_an_outage_of_redis(
    own_server: RedisServer, own_queue: Queue, own_store: Redis, launch: Launch, folder: Path
) -> None:
    process = launch(LEASE_SECONDS="2")
    own_queue.retry(held(own_queue), 0.3, "timeout")
    held(own_queue, "bench:locked", lease_seconds=0.3)
    own_server.kill()
    await_true(lambda: b"Redis is unavailable" in (folder / "log").read_bytes(), 10)
    time.sleep(1.2)  # the outage itself: longer than half of the lease
    own_server.start()
    back = time.monotonic()
    await_true(lambda: own_store.hget(KEYS.event(ID), "state") == "ready", 2, "the retry")
    assert own_store.hget(KEYS.event("bench:locked"), "state") == "locked"
    await_true(lambda: own_store.hget(KEYS.event("bench:locked"), "state") == "ready", 8, "expiry")
    assert time.monotonic() - back > 1.5  # spared for a lease
    assert process.poll() is None
    assert b"Redis answers again" in (folder / "log").read_bytes()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_promptly_on_sigterm(launch: Launch, folder: Path, sent: signal.Signals) -> None:
    process = launch()
    process.send_signal(sent)
    assert process.wait(3) == 0
    assert f"stopped ({sent.name})".encode() in (folder / "log").read_bytes()


def test_it_stops_promptly_while_redis_is_unavailable(
    own_server: RedisServer, launch: Launch, folder: Path
) -> None:
    process = launch()
    own_server.kill()
    await_true(lambda: b"Redis is unavailable" in (folder / "log").read_bytes(), 10)
    process.terminate()
    assert process.wait(3) == 0


def test_it_stops_promptly_during_a_stream_of_retries(own_queue: Queue, launch: Launch) -> None:
    process = launch()
    end = threading.Event()

    def feed() -> None:
        n = 0
        while not end.is_set():
            own_queue.retry(held(own_queue, f"bench:{n}"), 60 - n * 0.01, "timeout")
            n += 1

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        process.terminate()
        assert process.wait(3) == 0
    finally:
        end.set()
        feeder.join()


def test_it_warns_of_dead_letters_near_their_cap(
    own_queue: Queue, launch: Launch, folder: Path
) -> None:
    for n in range(8):
        dead_lettered(own_queue, f"bench:{n}")
    launch(DEAD_MAX_EVENTS="10")
    await_true(lambda: b"8 dead letters; at 10 " in (folder / "log").read_bytes(), 5)


def test_it_sleeps_while_nothing_is_due(own_store: Redis, launch: Launch) -> None:
    launch()
    before = own_store.info("commandstats")["cmdstat_evalsha"]["calls"]
    time.sleep(1.5)  # the time that is measured
    after = own_store.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert after - before <= 3


def test_a_finished_event_is_remembered_for_twice_the_tolerance_whatever_the_settings_say(
    own_queue: Queue, own_store: Redis, launch: Launch
) -> None:
    def runs_again() -> None:
        own_store.hdel(KEYS.stats, "promoted_at")
        await_true(lambda: own_store.hexists(KEYS.stats, "promoted_at"), 5)

    own_queue.done(held(own_queue), "recorded")
    own_store.zincrby(KEYS.done, -590_000, ID)  # the tolerance of the shipped sources is 300 s
    launch(DEDUP_WINDOW_SECONDS="1", TOMBSTONES_MAX="0")
    runs_again()
    assert accept(own_queue).code == "duplicate"
    own_store.zincrby(KEYS.done, -30_000, ID)
    await_true(lambda: accept(own_queue).code == "accepted", 5)


def test_wrong_sources_stop_it_with_a_line_for_each(tmp_path: Path) -> None:
    (tmp_path / "sources.toml").write_text('[acme]\npreset = "none such"\n')
    run = subprocess.run(
        [sys.executable, "-m", "scheduler"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"SOURCES_FILE": str(tmp_path / "sources.toml")},
        timeout=20,
    )
    assert run.returncode == 78
    [line] = run.stderr.splitlines()
    assert line.startswith("scheduler: ")
    assert '"none such" is unknown' in line


def test_wrong_settings_stop_it_with_a_line_for_each() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "scheduler"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"REDIS_URL": "nonsense", "LEASE_SECONDS": "0"},
        timeout=20,
    )
    assert run.returncode == 78
    lines = run.stderr.splitlines()
    assert [line.split("=")[0] for line in lines] == [
        "scheduler: REDIS_URL",
        "scheduler: LEASE_SECONDS",
    ]


def test_accepted_events_do_not_need_the_scheduler(own_queue: Queue) -> None:
    accept(own_queue)
    assert [event.id for event in take(own_queue)] == [ID]
