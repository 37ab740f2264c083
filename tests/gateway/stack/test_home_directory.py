"""The directory of a stack, and how its processes are found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conf.settings import ROOT
from gateway.stack import home_directory, orphans
from gateway.stack.supervisor import Supervisor


def test_a_directory_gets_the_programs_asked_for_and_no_stale_ones(tmp_path: Path) -> None:
    run_dir = tmp_path / ".run"
    home_directory.prepare(tmp_path, run_dir, ["redis", "mongod"], None)
    home_directory.prepare(tmp_path, run_dir, ["redis"], ["scheduler"])
    assert [path.name for path in (run_dir / "supervisor.d").iterdir()] == ["redis.conf"]
    (shared,) = (tmp_path / "conf" / "supervisor.d").iterdir()
    assert shared.resolve() == ROOT / "conf" / "supervisor.d" / "scheduler.conf"
    assert run_dir.stat().st_mode & 0o777 == 0o700


def test_a_run_dir_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    run_dir = tmp_path / "shared"
    run_dir.mkdir()
    run_dir.chmod(0o755)
    home_directory.prepare(tmp_path, run_dir, [], None)
    assert run_dir.stat().st_mode & 0o777 == 0o755


def test_the_environment_of_a_stack_is_saved_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    home_directory.prepare(tmp_path, tmp_path / ".run", [], None)
    assert home_directory.recall(tmp_path) == {}
    home_directory.remember(
        tmp_path, {"REDIS_URL": "redis://:secret@there", "X": "y"}, ["REDIS_URL"]
    )
    assert home_directory.recall(tmp_path) == {"REDIS_URL": "redis://:secret@there"}
    assert (tmp_path / ".run" / "stack.json").stat().st_mode & 0o777 == 0o600


def test_free_ports_are_distinct_and_outside_the_range_for_outgoing_connections() -> None:
    ports = home_directory.free_ports(20)
    assert len(set(ports)) == 20
    assert all(20_000 <= port < 32_000 for port in ports)


def test_a_temporary_home_is_short_enough_for_sockets_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with home_directory.temporary_home() as home:
        assert len(str(home / ".run" / "supervisor.sock")) < 100
    assert not home.exists()
    assert not list(long.iterdir())


def test_an_unavailable_supervisord_is_not_an_error(tmp_path: Path) -> None:
    assert Supervisor(tmp_path).pid() is None
    assert Supervisor(tmp_path).processes() == []


if sys.platform == "linux":  # without /proc, orphans cannot be found

    def test_orphans_are_found_by_stack_home_and_stopped(tmp_path: Path) -> None:
        marked = {**os.environ, "STACK_HOME": str(tmp_path)}
        other = {**os.environ, "STACK_HOME": f"{tmp_path}-2"}
        command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
        with (
            subprocess.Popen(command, env=marked, stdout=subprocess.PIPE) as orphan,
            subprocess.Popen(command, env=other, stdout=subprocess.PIPE) as other_process,
        ):
            for process in (orphan, other_process):
                assert process.stdout is not None
                process.stdout.readline()
            assert orphans.stop(tmp_path) == [orphan.pid]
            assert not orphans.alive(orphan.pid)
            assert orphans.alive(other_process.pid)
            other_process.kill()
