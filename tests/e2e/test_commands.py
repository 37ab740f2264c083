"""``python -m gateway COMMAND`` against a running stack."""

from __future__ import annotations

import pytest

from tests.support.running_gateway import RunningGateway
from tests.support.samples import SOURCES


def test_seed_creates_shipments_with_open_orders_and_keeps_existing_ones(
    gateway: RunningGateway,
) -> None:
    gateway.mongo["shipments"].insert_one({"_id": "SHP-2", "status": "delivered"})
    first = gateway.command("seed", "--count", "5")
    assert (first.returncode, first.stdout) == (
        0,
        "4 shipments with open orders created, 1 existed already\n",
    )
    assert gateway.shipment_now("SHP-2") == {"_id": "SHP-2", "status": "delivered"}
    made = gateway.shipment_now("SHP-5")
    assert (made["active"], made["events_applied"], made["recent_events"]) == (True, 0, [])
    order = gateway.mongo["orders"].find_one({"_id": made["order_id"]})
    assert order is not None
    assert order["status"] == "open"
    again = gateway.command("seed", "--if-empty")
    assert (again.returncode, again.stdout) == (0, "shipments is not empty: nothing was seeded\n")


def test_send_signs_each_sources_own_payload(gateway: RunningGateway) -> None:
    for source in SOURCES.values():
        shipment = gateway.shipment()
        sent = [
            gateway.command(
                "send",
                "--source",
                source.name,
                "--id",
                f"evt_{shipment}",
                "--shipment",
                shipment,
                "--status",
                "in_transit",
                "--at",
                "2026-01-05T12:00:00Z",
            )
            for _ in range(2)
        ]
        id = f"{source.name}:evt_{shipment}"
        assert sent[0].stdout == f'202 {{"status":"accepted","id":"{id}"}}\n'
        assert sent[1].stdout == f'200 {{"status":"duplicate","id":"{id}"}}\n'
        assert [one.returncode for one in sent] == [0, 0]
        gateway.await_done([id])
        assert gateway.shipment_now(shipment)["status"] == "in_transit"


def test_send_reports_what_is_wrong_and_fails(gateway: RunningGateway) -> None:
    unknown = gateway.command("send", "--source", "pigeon")
    assert unknown.returncode == 64
    assert "no source pigeon; there are bench, standard" in unknown.stderr
    nowhere = gateway.command("send", "--url", "http://127.0.0.1:9")
    assert nowhere.returncode == 69
    assert "does not answer" in nowhere.stderr
    rejected = gateway.command("send", BENCH_SECRET="another secret")
    assert rejected.returncode == 1
    assert rejected.stdout.startswith("401 ")


def test_status_shows_lanes_counters_and_processes(gateway: RunningGateway) -> None:
    run = gateway.command("status")
    assert run.returncode == 0
    assert "routing breaker: closed" in run.stdout
    assert f"accepted {gateway.counters().count('accepted')}   " in run.stdout
    for process in ("worker-lookup_00", "worker-routing_00", "worker-routing_01"):
        assert process in run.stdout
    assert "WARNING" not in run.stdout


def test_show_prints_a_waiting_and_a_completed_event(gateway: RunningGateway) -> None:
    gateway.behave(fail_ratio=1, fail_status=429, retry_after=300)
    id = gateway.post(gateway.shipment())
    gateway.await_state("retry routing", id)
    waiting = gateway.command("show", id)
    assert waiting.returncode == 0
    for text in (
        f"{id}\n",
        "state        retry",
        "last_error   status 429",
        '"status":"delivery_failed"',
        "state        processing",
    ):
        assert text in waiting.stdout
    listed = gateway.command("retry", "list")
    (row,) = [line for line in listed.stdout.splitlines() if id in line]
    assert row.split()[-5:] == ["min", "routing", "1", "status", "429"]
    gateway.behave()
    gateway.redis.zadd("{gw:0}:retry", {id: 1})  # due now, not in five minutes
    gateway.await_done([id])
    assert "outcome      routed" in gateway.command("show", id).stdout
    unknown = gateway.command("show", "bench:never seen")
    assert unknown.returncode == 1
    assert "bench:never seen: not known" in unknown.stderr


def test_dead_letters_are_listed_replayed_and_dropped(gateway: RunningGateway) -> None:
    gateway.behave(fail_ratio=1, fail_status=403)
    ids = [gateway.post(gateway.shipment()) for _ in range(3)]
    malformed = gateway.post(gateway.shipment(), "teleported")
    gateway.await_state("dead routing", *ids)
    gateway.await_state("dead lookup", malformed)
    listed = gateway.command("dead", "list", "--reason", "permanent").stdout
    assert all(id in listed for id in ids)
    assert "status 403" in listed
    assert malformed not in listed

    gateway.behave()
    nothing_named = gateway.command("dead", "drop")
    assert nothing_named.returncode == 64
    dropped = gateway.command("dead", "drop", ids[0])
    assert (dropped.returncode, dropped.stdout) == (0, "1 dropped\n")
    assert gateway.state(ids[0]) == "dropped"
    unknown = gateway.command("dead", "drop", "bench:never seen")
    assert (unknown.returncode, unknown.stdout) == (1, "0 dropped, 1 not\n")
    assert "no such event" in unknown.stderr

    replayed = gateway.command("dead", "replay", "--reason", "permanent")
    assert (replayed.returncode, replayed.stdout) == (0, "2 replayed\n")
    gateway.await_done(ids[1:])
    assert gateway.state(malformed) == "dead lookup"
    late = gateway.command("dead", "replay", ids[1])
    assert late.returncode == 1
    assert "it is not dead: done" in late.stderr


def test_a_dropped_event_is_a_duplicate_when_it_is_sent_again(gateway: RunningGateway) -> None:
    shipment = gateway.shipment()
    id = gateway.post(shipment, "teleported", event="evt_dropped")
    gateway.await_state("dead lookup", id)
    assert gateway.command("dead", "drop", id).returncode == 0
    assert gateway.post_once(shipment, "in_transit", event="evt_dropped") == 200
    assert gateway.state(id) == "dropped"


@pytest.mark.parametrize(
    ("command", "setting", "message"),
    [
        ("status", "REDIS_URL", "redis does not answer"),
        ("audit", "MONGO_URL", "mongodb does not answer"),
    ],
)
def test_an_unavailable_store_is_one_line_and_an_exit_code(
    gateway: RunningGateway, command: str, setting: str, message: str
) -> None:
    url = "unix:///nowhere.sock" if setting == "REDIS_URL" else "mongodb://127.0.0.1:9/x"
    run = gateway.command(command, **{setting: url})
    assert run.returncode == 69
    assert message in run.stderr
    assert "Traceback" not in run.stderr


def test_a_wrong_setting_is_one_line_and_an_exit_code(gateway: RunningGateway) -> None:
    run = gateway.command("status", MAX_ATTEMPTS="many")
    assert run.returncode == 78
    assert run.stderr.startswith("MAX_ATTEMPTS='many' is not allowed")
