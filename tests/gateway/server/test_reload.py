"""SIGHUP reads sources.toml again, and a wrong file does not stop the edge."""

from __future__ import annotations

import os
import signal

import pytest

from tests.gateway.conftest import StartEdge
from tests.gateway.server.test_graceful_stop import stop
from tests.support.edge import ACME, SOURCES, Edge, event
from tests.support.servers import RedisServer, await_true


@pytest.fixture
def edge(start_edge: StartEdge, own_redis: RedisServer) -> Edge:
    return start_edge(own_redis.url)


def write(edge: Edge, text: str) -> None:
    """Replace the file atomically: a reader sees the old or the new one."""
    new = edge.folder / "new.toml"
    new.write_text(text)
    new.replace(edge.folder / "sources.toml")


def hang_up(edge: Edge) -> None:
    """Send SIGHUP and wait until all workers are new and serve."""
    old = set(edge.workers())
    stop(edge, signal.SIGHUP)
    await_true(lambda: bool(now := set(edge.workers())) and not now & old, 20, "other workers")
    assert edge.get("/healthz").status == 200


def test_an_added_source_is_served_after_sighup(edge: Edge) -> None:
    assert edge.process is not None
    master = edge.process.pid
    assert edge.post(event("evt_1"), "acme").status == 404
    write(edge, SOURCES + ACME)
    assert edge.post(event("evt_1"), "acme").status == 404
    hang_up(edge)
    assert edge.post(event("evt_1"), "acme").status == 202
    assert edge.process.pid == master
    assert edge.process.poll() is None


def test_a_wrong_file_is_logged_and_the_previous_sources_stay_live(edge: Edge) -> None:
    write(edge, SOURCES + ACME.replace("github", "gitbub"))
    hang_up(edge)
    assert '[acme] preset: "gitbub" is unknown' in edge.log
    assert "the sources are unchanged" in edge.log
    assert edge.post(event("evt_1")).status == 202
    (worker,) = edge.workers()
    os.kill(worker, signal.SIGKILL)  # its replacement does not read the file either
    await_true(lambda: edge.workers() not in ([], [worker]), 20, "a new worker")
    assert edge.post(event("evt_2")).status == 202
    write(edge, SOURCES + ACME)
    hang_up(edge)
    assert edge.post(event("evt_3"), "acme").status == 202


def test_a_missing_file_does_not_stop_the_edge(edge: Edge) -> None:
    (edge.folder / "sources.toml").unlink()
    hang_up(edge)
    assert "sources.toml: cannot be read" in edge.log
    assert edge.post(event("evt_1")).status == 202


def test_all_log_lines_have_one_format_after_sighup(edge: Edge) -> None:
    hang_up(edge)
    after = edge.log.partition("Handling signal: hup")[2].splitlines()
    assert any("Booting worker" in line for line in after)
    assert [line for line in after if line.startswith("[")] == []
