"""``audit``: reports nothing about a healthy gateway, and every kind of manual corruption."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from conf.settings import ROOT
from tests.support.running_gateway import Run, RunningGateway

STATS = "{gw:0}:stats"


@pytest.fixture
def done(gateway: RunningGateway) -> Iterator[str]:
    """A completed event; its ledger document is restored afterwards."""
    id = gateway.post(gateway.shipment())
    gateway.await_done([id])
    entry = gateway.entry(id)
    yield id
    gateway.mongo["events"].replace_one({"_id": id}, entry, upsert=True)


def audit(gateway: RunningGateway, *options: str) -> Run:
    return gateway.command("audit", *options)


def assert_found(run: Run, *lines: str) -> None:
    assert run.returncode == 1, run.stdout
    found = run.stdout.splitlines()
    for line in lines:
        assert line in found, run.stdout
    assert found[-1] == "audit: NOT balanced"


def test_the_exit_code_is_the_result(gateway: RunningGateway) -> None:
    command = [sys.executable, "-m", "gateway", "audit", "--effects"]

    def exit_code() -> int:
        return subprocess.run(
            command, cwd=ROOT, env=gateway.stack.env, timeout=60, capture_output=True, check=False
        ).returncode

    assert exit_code() == 0
    gateway.redis.hincrby(STATS, "accepted", 1)
    try:
        assert exit_code() == 1
    finally:
        gateway.redis.hincrby(STATS, "accepted", -1)


def test_a_healthy_gateway_is_balanced_and_its_counters_are_shown(
    gateway: RunningGateway, done: str
) -> None:
    run = audit(gateway, "--effects")
    assert run.returncode == 0
    counters = gateway.counters()
    first, last = run.stdout.splitlines()
    assert first == (
        f"accepted {counters.count('accepted')} = done {counters.count('done')} + waiting 0 "
        f"+ locked 0 + retrying 0 + dead {counters.dead} + "
        f"dropped {counters.count('dropped')}"
    )
    assert last == "audit: balanced"


def test_unfinished_events_are_not_reported(gateway: RunningGateway) -> None:
    gateway.behave(latency_ms=1000)
    ids = [gateway.post(gateway.shipment()) for _ in range(30)]
    run = audit(gateway, "--effects")
    assert run.returncode == 0, run.stdout
    gateway.behave()
    gateway.await_done(ids)


@pytest.mark.parametrize(("by", "words"), [(1, "missing"), (-2, "too many")])
def test_a_missing_or_surplus_event_is_found(gateway: RunningGateway, by: int, words: str) -> None:
    gateway.redis.hincrby(STATS, "accepted", by)
    try:
        assert_found(audit(gateway), f"counters do not reconcile: {abs(by)} events are {words}")
        assert "WARNING: the counters do not reconcile" in gateway.command("status").stdout
    finally:
        gateway.redis.hincrby(STATS, "accepted", -by)


def test_a_wrong_backlog_gauge_is_found(gateway: RunningGateway) -> None:
    gateway.redis.hincrby(STATS, "backlog", 3)
    try:
        assert_found(
            audit(gateway),
            "counters do not reconcile: the backlog gauge says 3, 0 events are unfinished",
        )
    finally:
        gateway.redis.hincrby(STATS, "backlog", -3)


@pytest.mark.parametrize("state", ["processing", "dead"])
def test_an_event_that_redis_calls_done_and_the_ledger_does_not_is_found(
    gateway: RunningGateway, done: str, state: str
) -> None:
    gateway.mongo["events"].update_one({"_id": done}, {"$set": {"state": state}})
    assert_found(
        audit(gateway),
        "redis and the ledger disagree: 1",
        f"  {done}: redis says done, the ledger says {state}",
    )


def test_a_done_event_without_a_ledger_document_is_found(
    gateway: RunningGateway, done: str
) -> None:
    gateway.mongo["events"].delete_one({"_id": done})
    assert_found(audit(gateway), f"  {done}: redis says done, the ledger says nothing")


def test_a_dead_event_that_the_ledger_calls_done_is_found_and_a_replay_corrects_it(
    gateway: RunningGateway,
) -> None:
    gateway.behave(fail_ratio=1, fail_status=400)
    id = gateway.post(gateway.shipment())
    gateway.await_state("dead routing", id)
    gateway.mongo["events"].update_one({"_id": id}, {"$set": {"state": "done"}})
    assert_found(audit(gateway), f"  {id}: redis says dead, the ledger says done")
    assert gateway.command("dead", "replay", id).returncode == 0
    gateway.await_done([id])
    assert audit(gateway).returncode == 0


def test_an_event_lost_by_redis_is_named(gateway: RunningGateway, done: str) -> None:
    lost = gateway.entry(done) | {"_id": "bench:lost", "state": "processing"}
    del lost["applied_at"]
    gateway.mongo["events"].insert_one(lost)
    try:
        run = audit(gateway)
        assert_found(run, "  bench:lost")
        assert "lost by Redis" in run.stdout
        assert "ask the courier to send them again): 1" in run.stdout
    finally:
        gateway.mongo["events"].delete_one({"_id": "bench:lost"})


def test_effects_finds_a_shipment_that_counts_an_event_twice(
    gateway: RunningGateway, done: str
) -> None:
    shipment = gateway.entry(done)["shipment_id"]
    gateway.mongo["shipments"].update_one({"_id": shipment}, {"$inc": {"events_applied": 1}})
    try:
        assert audit(gateway).returncode == 0
        assert_found(
            audit(gateway, "--effects"),
            "shipments whose counter differs from the ledger: 1",
            f"  {shipment}: counted 2 events, the ledger applied 1",
        )
    finally:
        gateway.mongo["shipments"].update_one({"_id": shipment}, {"$inc": {"events_applied": -1}})


def test_an_effect_that_a_crash_kept_from_the_ledger_is_not_reported(
    gateway: RunningGateway, done: str
) -> None:
    """The id is still in ``recent_events``, where the next attempt finds it."""
    gateway.mongo["events"].update_one({"_id": done}, {"$unset": {"applied_at": ""}})
    assert audit(gateway, "--effects").returncode == 0
