"""The demo profile, started from a clone by one command."""

from __future__ import annotations

import json
import urllib.request

from tests.docker.couriers import event, post
from tests.docker.engine import await_true, docker
from tests.docker.project import SERVICES, Project

# Parents that exit at once and leave their children to the container's first process.
ORPHAN = "for n in 1 2 3; do sh -c 'sleep 0.2 &'; done; sleep 1; cat /proc/[0-9]*/stat"


def test_a_signed_event_is_accepted_and_completes(project: Project) -> None:
    first = event("first")
    assert post(project.url, first, secret=b"another secret") == 401
    assert post(project.url, first) == 202
    assert post(project.url, first) == 200
    await_true(lambda: not project.unfinished(["bench:first"]), 20, "the event to complete")
    shown = project.exec("app", "python", "-m", "gateway", "show", "bench:first")
    assert "outcome      routed" in shown


def test_the_demo_has_shipments_and_warns_of_published_secrets(project: Project) -> None:
    log = project.logs("app")
    assert "1000 shipments with open orders created" in log
    assert "WARNING gateway gateway: bench: the published demo secret is live" in log
    assert "serving with meinheld" in log


def test_supervisorctl_needs_no_environment(project: Project) -> None:
    shown = project.exec("app", "env", "-i", "/opt/venv/bin/supervisorctl", "status")
    assert len(shown.splitlines()) == 6
    assert all("RUNNING" in line for line in shown.splitlines())
    assert project.exec("app", "supervisorctl", "status").count("RUNNING") == 6


def test_every_process_logs_to_the_log_of_the_container(project: Project) -> None:
    log = project.logs("app")
    for process in ("gateway", "scheduler", "worker-lookup_00", "worker-routing_01"):
        assert f" {process} " in log
    assert "Read-only" not in log
    assert project.exec("app", "ls", ".run/log") == ""


def test_every_container_is_read_only_and_without_privileges(project: Project) -> None:
    for service in SERVICES:
        host = json.loads(
            docker("inspect", "-f", "{{json .HostConfig}}", project.container(service))
        )
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert host["Memory"] > 0
        assert host["LogConfig"]["Config"]["max-size"] == "10m"
        status = project.exec(service, "cat", "/proc/1/status")
        assert "Uid:\t0" not in status
        assert "CapEff:\t0000000000000000" in status
    written = project.exec("app", "sh", "-c", "touch /app/x /opt/venv/x || true; ls /app")
    assert "x" not in written.split()


def test_the_stores_are_reachable_only_from_the_app_and_with_a_password(project: Project) -> None:
    for service in ("redis", "mongo"):
        ports = docker(
            "inspect", "-f", "{{json .NetworkSettings.Ports}}", project.container(service)
        )
        assert not any(json.loads(ports).values())
    without = project.exec("redis", "env", "-u", "REDISCLI_AUTH", "redis-cli", "ping", check=False)
    assert "NOAUTH" in without
    script = (
        "from pymongo import MongoClient as M\n"
        "try: M('mongodb://mongo/fincart').fincart.events.find_one()\n"
        "except Exception as e: print(e)"
    )
    assert "requires authentication" in project.exec("app", "python", "-c", script)
    arguments = project.exec("redis", "cat", "/proc/1/cmdline")
    assert "redis-server" in arguments
    assert "password" not in arguments


def test_redis_is_durable_and_never_evicts(project: Project) -> None:
    with urllib.request.urlopen(f"{project.url}/readyz") as answer:
        assert json.load(answer)["durability"] == "always"
    for name, value in {
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory": "2000000000",
    }.items():
        assert project.exec("redis", "redis-cli", "config", "get", name).split()[1:] == [value]


def test_the_ops_port_accepts_its_token(project: Project) -> None:
    request = urllib.request.Request(
        f"{project.ops_url}/metrics", headers={"Authorization": "Bearer demo-ops-token"}
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def test_orphans_are_reaped(project: Project) -> None:
    states = [
        line.rpartition(")")[2].split()[0]
        for line in project.exec("app", "sh", "-c", ORPHAN).splitlines()
        if ")" in line
    ]
    assert "S" in states
    assert "Z" not in states


def test_a_lane_is_scaled_while_it_runs(project: Project) -> None:
    scale = "printf '[program:worker-lookup]\\nnumprocs=3\\n' > .run/supervisor.d/scale.conf"
    project.exec("app", "sh", "-c", f"{scale} && supervisorctl update")
    await_true(
        lambda: project.exec("app", "supervisorctl", "status", check=False).count("RUNNING") == 8,
        30,
        "three lookup processes",
    )
    project.exec("app", "sh", "-c", "rm .run/supervisor.d/scale.conf && supervisorctl update")
    await_true(
        lambda: project.exec("app", "supervisorctl", "status", check=False).count("RUNNING") == 6,
        30,
        "one lookup process",
    )
