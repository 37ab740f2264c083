"""Every program is reloaded and restarted under load: no request fails, no attempt is consumed.

ROLL_SECONDS=60 in the environment repeats it for 60 s; ``-s`` prints the measurements.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conf.settings import ROOT
from conf.sources.loader import SourcesError
from gateway.stack.stack import Stack
from tests.e2e.conftest import SETTINGS
from tests.support.edge import ACME
from tests.support.running_gateway import WAIT_SECONDS, RunningGateway
from tests.support.servers import await_true
from tests.support.steady_couriers import SteadyCouriers

ROLL_SECONDS = float(os.environ.get("ROLL_SECONDS", "0"))  # 0: one round
REQUESTS_MIN = 300  # of each kind in one round; about a thousand on an idle machine
WORKERS = (
    "worker-lookup:worker-lookup_00",
    "worker-routing:worker-routing_00",
    "worker-routing:worker-routing_01",
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copy(ROOT / "conf" / "sources.toml", tmp_path_factory.mktemp("sources")))


@pytest.fixture(scope="module")
def stack(sources: Path) -> Iterator[Stack]:
    """Several edge workers, and a Redis timeout that a slow disk does not reach."""
    with Stack.temporary(
        env=SETTINGS
        | {"REDIS_TIMEOUT_SECONDS": "10", "WEB_CONCURRENCY": "2", "SOURCES_FILE": str(sources)}
    ) as stack:
        yield stack


def edge_workers(master: int) -> set[int]:
    return set(map(int, Path(f"/proc/{master}/task/{master}/children").read_text().split()))


def await_others(master: int, old: set[int]) -> None:
    await_true(
        lambda: bool(now := edge_workers(master)) and not now & old,
        WAIT_SECONDS,
        "other workers of the edge",
    )


def stop_and_start(gateway: RunningGateway, worker: str) -> None:
    """A stopped worker holds no lock."""
    gateway.stack.ctl("stop", worker)
    name = worker.rpartition(":")[2]
    locked = [
        str(id)
        for lane in ("lookup", "routing")
        for id in gateway.redis.zrange("{gw:0}:locks:" + lane, 0, -1)
    ]
    assert [id for id in locked if gateway.event(id).get("owner", "").endswith(f"/{name}")] == []
    gateway.stack.ctl("start", worker)


def roll(gateway: RunningGateway) -> None:
    """Reload the edge, then replace every program's process."""
    before = gateway.pids()
    for worker in WORKERS:
        stop_and_start(gateway, worker)
    master = before["gateway"]
    old = edge_workers(master)
    gateway.stack.ctl("signal", "HUP", "gateway")
    await_others(master, old)
    gateway.stack.ctl("restart", "gateway", "ops", "scheduler")
    after = gateway.pids()
    kept = {name for name, pid in after.items() if before.get(name) == pid}
    assert after.keys() == before.keys()
    assert kept == {"redis", "mongod", "routingsim"}


def test_every_program_is_restarted_under_load_and_no_request_fails(
    gateway: RunningGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.behave(latency_ms=300)
    shipments = [gateway.shipment() for _ in range(40)]
    rounds, began = 0, time.monotonic()
    with SteadyCouriers(gateway.stack.gateway_url, shipments, f"roll_{os.getpid()}") as couriers:
        routed = []
        while not rounds or time.monotonic() < began + ROLL_SECONDS:
            routed += [gateway.post(shipment, "delayed") for shipment in shipments]
            await_true(lambda: gateway.routing("in_flight") > 0, WAIT_SECONDS)
            roll(gateway)
            rounds += 1
    with capsys.disabled():
        print(f"\n{time.monotonic() - began:.0f} s, {rounds} rounds\n{couriers.report()}")
    assert couriers.failures == []
    for kept in (True, False):
        assert sum(answer.kept is kept for answer in couriers.answers) > REQUESTS_MIN * rounds

    gateway.await_done([*routed, *(f"bench:{answer.event}" for answer in couriers.answers)])
    expected = couriers.applied()
    for shipment in shipments:
        seen = gateway.shipment_now(shipment)["events_applied"]
        assert seen == expected[shipment] + rounds
    for name in ("crashed", "retried", "buried", "conflicting", "duplicates"):
        assert gateway.counted(name) == 0, name
    assert gateway.routing("abandoned") == 0
    assert gateway.routing("repeats") == 0


def test_a_reload_under_load_adds_a_source_and_a_wrong_file_changes_nothing(
    gateway: RunningGateway, sources: Path
) -> None:
    shipments = [gateway.shipment() for _ in range(8)]
    shipped, before = sources.read_text(), gateway.pids()
    with SteadyCouriers(gateway.stack.gateway_url, shipments, f"reload_{os.getpid()}") as couriers:
        sources.write_text(shipped + ACME.replace("github", "gitbub"))
        with pytest.raises(SourcesError, match='"gitbub" is unknown'):
            gateway.stack.reload()
        assert gateway.pids() == before
        sources.write_text(shipped + ACME)
        old = edge_workers(before["gateway"])
        gateway.stack.reload()
        await_others(before["gateway"], old)
        assert gateway.post_once(shipments[0], event="evt_new", source="acme") == 202
    assert couriers.failures == []
    gateway.await_done(["acme:evt_new", *(f"bench:{answer.event}" for answer in couriers.answers)])
    after = gateway.pids()
    assert after["gateway"] == before["gateway"]
    assert (
        after["scheduler"] != before["scheduler"]
    )  # it keeps tombstones for as long as the sources require
    assert gateway.counted("buried") == 0
