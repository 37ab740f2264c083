"""The programs' files: every process is restarted, and may drain before it is killed."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from conf.settings import ROOT
from gateway.stack.environment import plan

SHARED = sorted((ROOT / "conf" / "supervisor.d").glob("*.conf"))
LOCAL = sorted((ROOT / "conf" / "supervisor.d" / "local").glob("*.conf"))
STORES = {"redis", "mongod"}


def read(path: Path) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser()
    parser.read(path)
    (section,) = [name for name in parser.sections() if not name.startswith("rpcinterface:")]
    assert section == f"program:{path.stem}"
    return parser[section]


def expanded(text: str, tmp_path: Path, **settings: str) -> str:
    environ = plan(settings, tmp_path).environ | {"REDIS_SERVER": "/r", "MONGOD": "/m"}
    return text % {f"ENV_{name}": value for name, value in environ.items()}


def test_the_programs_are_those_of_the_design() -> None:
    assert [path.stem for path in SHARED] == [
        "gateway",
        "ops",
        "scheduler",
        "worker-lookup",
        "worker-routing",
    ]
    assert {path.stem for path in LOCAL} == {*STORES, "routingsim"}


@pytest.mark.parametrize("path", SHARED + LOCAL, ids=lambda path: path.stem)
def test_a_program_is_restarted_for_ever_and_logs_to_rotated_files(path: Path) -> None:
    program = read(path)
    assert program["autorestart"] == "true"
    assert int(program["startretries"]) >= 1_000_000
    assert int(program["startsecs"]) == 1
    assert program["stopsignal"] == "TERM"
    assert program["redirect_stderr"] == "true"
    assert program["stdout_logfile"].startswith("%(ENV_RUN_DIR)s/log/")
    assert program["stdout_logfile_maxbytes"] == "10MB"
    assert int(program["stdout_logfile_backups"]) > 0


@pytest.mark.parametrize("path", SHARED, ids=lambda path: path.stem)
@pytest.mark.parametrize("drain", ["0", "10", "12.5", "600"])
def test_a_program_may_drain_before_it_is_killed(path: Path, drain: str, tmp_path: Path) -> None:
    seconds = expanded(read(path)["stopwaitsecs"], tmp_path, DRAIN_SECONDS=drain)
    assert int(seconds) > float(drain)


@pytest.mark.parametrize("path", SHARED + LOCAL, ids=lambda path: path.stem)
def test_the_environment_fills_in_every_program(path: Path, tmp_path: Path) -> None:
    for value in read(path).values():
        expanded(value.replace("%(program_name)s", "").replace("%(process_num)02d", ""), tmp_path)


@pytest.mark.parametrize("name", ["worker-lookup", "worker-routing"])
def test_workers_have_stable_names_and_their_number_from_a_setting(
    name: str, tmp_path: Path
) -> None:
    program = read(ROOT / "conf" / "supervisor.d" / f"{name}.conf")
    assert program["process_name"] == "%(program_name)s_%(process_num)02d"
    variable = name.removeprefix("worker-").upper() + "_PROCESSES"
    assert expanded(program["numprocs"], tmp_path, **{variable: "5"}) == "5"


def test_stores_start_first_and_the_gateway_stops_first() -> None:
    priority = {path.stem: int(read(path)["priority"]) for path in SHARED + LOCAL}
    others = [value for name, value in priority.items() if name not in STORES]
    assert max(priority[name] for name in STORES) < min(others)
    assert priority["gateway"] == max(priority.values())
    workers = {priority["worker-lookup"], priority["worker-routing"]}
    assert priority["routingsim"] < priority["scheduler"] < min(workers)


def test_the_client_needs_no_environment() -> None:
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "supervisord.conf")
    assert parser["supervisorctl"]["serverurl"] == "unix://%(here)s/.run/supervisor.sock"
    assert "ENV_" not in (ROOT / "supervisord.conf").read_text()


def test_a_stack_starts_no_store_whose_url_is_given(tmp_path: Path) -> None:
    assert plan({}, tmp_path).own == ("redis", "mongod", "routingsim")
    given = plan({"REDIS_URL": "redis://there:1/0", "ROUTING_URL": "http://there"}, tmp_path)
    assert given.own == ("mongod",)
    assert given.environ["REDIS_URL"] == "redis://there:1/0"
    assert {listener.program for listener in given.listeners} == {"gateway", "ops", "mongod"}


def test_settings_of_the_caller_reach_the_programs(tmp_path: Path) -> None:
    environ = plan({"MAX_ATTEMPTS": "3", "BENCH_SECRET": "x", "PATH": "/bin"}, tmp_path).environ
    assert environ["MAX_ATTEMPTS"] == "3"
    assert environ["BENCH_SECRET"] == "x"
    assert environ["PATH"].endswith(":/bin")
    assert environ["PROFILE"] == "local"
    assert environ["RUN_DIR"] == str(tmp_path / ".run")
