"""Each problem that preflight finds is one line with its remedy."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from conf.settings import ROOT
from gateway.stack import preflight, servers
from gateway.stack.preflight import Listener, PreflightError


@pytest.fixture
def no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which the development wheels are not installed."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


def program(directory: Path, name: str, script: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def problem(call: object, search: Path) -> str:
    assert callable(call)
    with pytest.raises(servers.Unusable) as caught:
        call(str(search))
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.usefixtures("no_wheels")
def test_a_missing_server_is_reported_with_the_setting_that_replaces_it(tmp_path: Path) -> None:
    assert "redis-server is neither on the PATH" in problem(servers.redis_server, tmp_path)
    assert "set REDIS_URL" in problem(servers.redis_server, tmp_path)
    assert "set MONGO_URL" in problem(servers.mongod, tmp_path)
    assert "apt-get install redis-tools" in problem(servers.redis_cli, tmp_path)


@pytest.mark.usefixtures("no_wheels")
def test_a_redis_that_is_too_old_is_reported_with_its_version(tmp_path: Path) -> None:
    program(tmp_path, "redis-server", "echo Redis server v=5.0.14 sha=00000000:0")
    assert f"{tmp_path}/redis-server is 5.0: install" in problem(servers.redis_server, tmp_path)


@pytest.mark.usefixtures("no_wheels")
def test_a_library_that_mongod_lacks_is_reported_with_its_package(tmp_path: Path) -> None:
    program(
        tmp_path,
        "mongod",
        "echo 'mongod: error while loading shared libraries: libcurl.so.4:"
        " cannot open shared object file: No such file or directory' >&2; exit 127",
    )
    assert "lacks libcurl.so.4 (apt-get install libcurl4)" in problem(servers.mongod, tmp_path)


@pytest.mark.usefixtures("no_wheels")
def test_a_mongod_that_the_processor_cannot_run_is_reported(tmp_path: Path) -> None:
    program(tmp_path, "mongod", "kill -ILL $$")
    assert "needs a processor with AVX" in problem(servers.mongod, tmp_path)


def test_the_path_comes_before_the_wheel_and_unusable_servers_are_skipped(tmp_path: Path) -> None:
    program(tmp_path / "a", "redis-server", "echo Redis server v=4.0.9")
    newer = program(tmp_path / "b", "redis-server", "echo Redis server v=7.2.5")
    found = servers.redis_server(f"{tmp_path}/a{os.pathsep}{tmp_path}/b")
    assert found == servers.Server(newer, (7, 2))


def test_valkey_is_accepted(tmp_path: Path) -> None:
    valkey = program(tmp_path, "valkey-server", "echo Valkey server v=8.0.1 sha=0")
    assert servers.redis_server(str(tmp_path)) == servers.Server(valkey, (8, 0))


def test_a_taken_port_is_reported_with_the_setting_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        listener = Listener("gateway", "0.0.0.0", port, "GATEWAY_BIND")
        assert preflight.port_problem(listener) == (
            f"port {port} (gateway) is taken: stop what listens there, or set GATEWAY_BIND"
        )
    assert preflight.port_problem(listener) == ""


def test_an_address_of_another_machine_is_reported() -> None:
    text = preflight.port_problem(Listener("ops", "192.0.2.1", 8081, "OPS_BIND"))
    assert text.startswith("port 8081 (ops) on 192.0.2.1 cannot be used (")
    assert text.endswith("set OPS_BIND")


def test_a_path_too_long_for_a_unix_socket_is_reported() -> None:
    assert preflight.socket_path_problem(Path("/tmp/x/redis.sock"), "move") == ""
    text = preflight.socket_path_problem(Path("/" + "x" * 100), "move it")
    assert text.endswith("has 101 bytes, a unix socket's path at most 100: move it")


def test_too_few_open_files_are_a_warning() -> None:
    assert "only 1024 open files" in preflight.open_files_warning(1024)
    assert preflight.open_files_warning(4096) == ""


def test_an_older_redis_must_not_open_the_data_of_a_newer_one(tmp_path: Path) -> None:
    assert preflight.data_problem(tmp_path, (6, 2)) == ""
    preflight.record_version(tmp_path, (7, 0))
    assert preflight.data_problem(tmp_path, (7, 0)) == ""
    assert preflight.data_problem(tmp_path, (7, 4)) == ""
    text = preflight.data_problem(tmp_path, (6, 2))
    assert text.startswith(f"{tmp_path} was written by Redis 7.0, and 6.2 would start without")


def test_a_newer_redis_is_recognised_by_the_layout_of_its_data(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").mkdir()
    assert "was written by Redis 7 or newer" in preflight.data_problem(tmp_path, (6, 2))
    assert preflight.data_problem(tmp_path, (7, 0)) == ""


def test_all_problems_are_reported_together() -> None:
    preflight.require(["", ""])
    with pytest.raises(PreflightError, match=r"\Aone\ntwo\Z"):
        preflight.require(["one", "", "two"])


class TestFindPython:
    """conf/find_python.sh, which runs before the virtual environment exists."""

    def find(self, path: Path, python: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", str(ROOT / "conf" / "find_python.sh")],
            text=True,
            env={"PATH": str(path), "PYTHON": python},
            capture_output=True,
            check=False,
        )

    def python(self, directory: Path, name: str, *, fits: bool, has_venv: bool = True) -> Path:
        return program(
            directory,
            name,
            f"""case $2 in
            *version_info\\ *|*'<='*) exit {0 if fits else 1};;
            *ensurepip*) exit {0 if has_venv else 1};;
            *) echo 3.12;;
        esac""",
        )

    def test_the_first_suitable_python_is_used(self, tmp_path: Path) -> None:
        self.python(tmp_path, "python3", fits=False)
        newer = self.python(tmp_path, "python3.12", fits=True)
        self.python(tmp_path, "python3.11", fits=True)
        assert self.find(tmp_path).stdout == f"{newer}\n"

    def test_no_python_at_all_is_reported_with_the_way_to_name_one(self, tmp_path: Path) -> None:
        run = self.find(tmp_path)
        assert run.returncode == 1
        assert run.stderr == (
            "no Python 3.11 to 3.14 on the PATH: install one, or name it: "
            "make PYTHON=/path/to/python3\n"
        )

    def test_an_unsuitable_python_that_was_named_is_reported(self, tmp_path: Path) -> None:
        old = self.python(tmp_path, "python3", fits=False)
        run = self.find(tmp_path, str(old))
        assert run.returncode == 1
        assert run.stderr.startswith(f"PYTHON={old} is no Python 3.11 to 3.14")

    def test_a_python_without_venv_is_reported_with_the_package(self, tmp_path: Path) -> None:
        self.python(tmp_path, "python3", fits=True, has_venv=False)
        run = self.find(tmp_path)
        assert run.returncode == 1
        assert run.stderr == "python3 lacks the venv module: apt-get install python3.12-venv\n"
