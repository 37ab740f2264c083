"""Containers are killed, stopped and replaced under load; no acknowledged event is lost."""

from __future__ import annotations

import json
import re
import time
import urllib.request

import pytest

from tests.docker.couriers import Couriers, event, post
from tests.docker.engine import await_true
from tests.docker.project import Project

BEFORE, DOWN, AFTER = 4, 3, 3  # seconds of load before, during and after the outage
GRACE_SECONDS = 120  # stop_grace_period
SETTLE_SECONDS = 120


@pytest.fixture(autouse=True)
def _all_up(project: Project) -> None:
    """Start whatever an earlier test has stopped."""
    project.up()


def settle(project: Project, ids: list[str]) -> None:
    """Wait until every acknowledged event is done; then the audit must find nothing."""
    assert ids
    print(f"\n{len(ids)} events acknowledged", end="", flush=True)
    await_true(lambda: project.unfinished(ids) == [], SETTLE_SECONDS, "all events to complete")
    await_true(lambda: project.stat("backlog") == 0, SETTLE_SECONDS, "the backlog to empty")
    audit = project.exec("app", "python", "-m", "gateway", "audit", "--effects")
    assert audit.endswith("audit: balanced"), audit
    assert "dead 0" in audit
    print(", all done once")


def slow_routing(project: Project, ms: int) -> None:
    request = urllib.request.Request(
        f"{project.sim_url}/behaviour", method="PUT", data=json.dumps({"latency_ms": ms}).encode()
    )
    urllib.request.urlopen(request).close()


@pytest.mark.parametrize("service", ["app", "redis", "mongo"])
def test_a_container_is_killed_under_load_and_nothing_is_lost(
    project: Project, service: str
) -> None:
    with Couriers(project.url, f"killed-{service}") as couriers:
        time.sleep(BEFORE)
        project.kill(service)
        time.sleep(DOWN)
        project.compose("start", service)
        project.await_healthy(service, "app")
        time.sleep(AFTER)
    print(f"\n{service} killed: {couriers.resent} requests had to be repeated", end="")
    if service != "mongo":  # the edge does not use MongoDB
        assert couriers.resent > 0
    settle(project, couriers.acknowledged)


def test_the_engine_restarts_an_app_whose_supervisord_was_killed(project: Project) -> None:
    with Couriers(project.url, "headless") as couriers:
        time.sleep(BEFORE)
        project.exec("app", "sh", "-c", "kill -9 $(cat .run/supervisord.pid)", check=False)
        await_true(lambda: project.health("app") == "starting", 30, "a restart")
        project.await_healthy("app")
        time.sleep(AFTER)
    settle(project, couriers.acknowledged)


def test_stop_drains_within_the_grace_period(project: Project) -> None:
    crashed = project.stat("crashed")
    slow_routing(project, 8000)  # the edge stops first: shorter calls would have ended by then
    with Couriers(project.url, "drained") as couriers:
        time.sleep(BEFORE)
        started = time.monotonic()
        project.compose("stop", "app")
        seconds = time.monotonic() - started
        state = project.state("app")
        log = project.logs("app").rpartition("indicating exit request")[2]
        slow_routing(project, 2000)
        project.compose("start", "app")
        project.await_healthy("app")
    held = sum(int(count) for count in re.findall(r"with (\d+) events in work", log))
    print(f"\nstopped in {seconds:.0f} s, with {held} events in work", end="")
    assert held > 0
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    assert seconds < GRACE_SECONDS
    settle(project, couriers.acknowledged)
    assert project.stat("crashed") == crashed


def test_down_and_up_again_loses_nothing(project: Project) -> None:
    with Couriers(project.url, "downed") as couriers:
        time.sleep(BEFORE)
    waiting = project.stat("backlog")
    accepted = project.stat("accepted")
    project.compose("down")
    project.up()
    assert waiting > 0
    assert project.stat("accepted") == accepted
    settle(project, couriers.acknowledged)
    assert "shipments is not empty: nothing was seeded" in project.logs("app")
    resent = [post(project.url, event(id.partition(":")[2])) for id in couriers.acknowledged[:20]]
    assert resent == [200] * len(resent)


def test_a_setting_in_the_callers_environment_scales_the_app(project: Project) -> None:
    project.env["ROUTING_PROCESSES"] = "3"
    project.up()
    shown = project.exec("app", "supervisorctl", "status")
    assert shown.count("worker-routing:") == 3
    assert shown.count("RUNNING") == 7
