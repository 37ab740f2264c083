"""The Compose files, checked without running them; `make test-docker` runs them.

compose_spec.json is the schema of the Compose specification as docker-compose 1.29.2 ships it
(Apache License 2.0). That version and every later one read a file that matches it.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
import yaml  # type: ignore[import-untyped]

from conf.settings import ROOT, Settings, variable
from conf.sources.loader import load_sources
from gateway.stack.environment import STOP_MARGIN_SECONDS

BASE = ROOT / "docker-compose.yml"
OVERLAY = ROOT / "conf" / "compose.production.yml"
EXAMPLE = (ROOT / ".env.example").read_text()

# The specification defines its own formats: durations are those of Go, not of ISO 8601.
FORMATS = {"duration": r"^(\$\{.*\}|(\d+(\.\d+)?(us|ms|s|m|h))+)$"}

# Fixed inside the container: a value from the caller's shell would be wrong.
NOT_PASSED_ON = {"HOST_NAME", "RUN_DIR", "SOURCES_FILE"}


def services(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["services"]
    return found


def default_of(text: str) -> str:
    """The default in ``${NAME:-default}``."""
    match = re.fullmatch(r"\$\{\w+:-(.*)\}", text)
    assert match, text
    return match[1]


@pytest.mark.parametrize("path", [BASE, OVERLAY], ids=lambda path: path.name)
def test_each_file_matches_the_compose_specification(path: Path) -> None:
    schema = json.loads((Path(__file__).parent / "compose_spec.json").read_text())
    fastjsonschema.compile(schema, formats=FORMATS)(yaml.safe_load(path.read_text()))


def test_the_services_are_those_of_the_design() -> None:
    assert set(services(BASE)) == {"app", "redis", "mongo", "routingsim"}
    assert set(services(OVERLAY)) == set(services(BASE))


def test_every_setting_reaches_the_app() -> None:
    environment = set(services(BASE)["app"]["environment"])
    assert {variable(setting) for setting in fields(Settings)} - environment == NOT_PASSED_ON


def test_every_secret_of_the_sources_reaches_the_app() -> None:
    environment = set(services(BASE)["app"]["environment"])
    sources = (ROOT / "conf" / "sources.toml").read_text()
    named = set(re.findall(r'"(\w+)"', " ".join(re.findall(r"secrets_env = (\[.*\])", sources))))
    assert load_sources(ROOT / "conf" / "sources.toml", None, "demo")
    assert named
    assert named <= environment


@pytest.mark.parametrize("name", ["app", "redis", "mongo", "routingsim"])
def test_each_service_has_limits_no_privileges_and_a_bounded_log(name: str) -> None:
    service = services(BASE)[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "pids_limit"} <= set(service)
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


def test_every_port_is_published_on_loopback_and_the_stores_publish_none() -> None:
    for name, service in services(BASE).items():
        for port in service.get("ports", []):
            assert ":-127.0.0.1:" in port, name
        if name in ("redis", "mongo"):
            assert "ports" not in service
            assert service["networks"] == ["stores"]
    assert yaml.safe_load(BASE.read_text())["networks"]["stores"]["internal"] is True


def test_the_app_has_time_to_stop_all_its_programs_before_it_is_killed() -> None:
    programs = len(list((ROOT / "conf" / "supervisor.d").glob("*.conf")))
    each = math.ceil(Settings().drain_seconds) + STOP_MARGIN_SECONDS
    grace = default_of(services(BASE)["app"]["stop_grace_period"])
    assert int(grace.removesuffix("s")) > programs * each


def test_redis_has_memory_for_twice_a_full_backlog_and_a_gigabyte() -> None:
    backlog = int(default_of(services(BASE)["app"]["environment"]["BACKLOG_MAX_BYTES"]))
    maxmemory = int(default_of(services(BASE)["redis"]["environment"]["MAXMEMORY"]))
    assert maxmemory >= 2 * backlog + 1_000_000_000
    memory = default_of(services(BASE)["redis"]["mem_limit"])
    assert int(memory.removesuffix("g")) * 1024**3 >= 2 * maxmemory


def test_the_overlay_requires_exactly_what_the_example_leaves_blank() -> None:
    demanded = set(re.findall(r"\$\{(\w+):\?set (\w+), see \.env\.example\}", OVERLAY.read_text()))
    assert all(name == named for name, named in demanded)
    blank = set(re.findall(r"^(\w+)=$", EXAMPLE, re.MULTILINE))
    assert {name for name, _ in demanded} == blank


def test_the_overlay_replaces_every_published_secret() -> None:
    published = set(re.findall(r"\$\{(\w+):-demo-", BASE.read_text()))
    assert published <= set(re.findall(r"\$\{(\w+):\?", OVERLAY.read_text()))


def test_all_programs_log_to_the_container() -> None:
    text = (ROOT / "conf" / "supervisor.d" / "container" / "zz-stdout.conf").read_text()
    programs = {path.stem for path in (ROOT / "conf" / "supervisor.d").glob("*.conf")}
    assert set(re.findall(r"^\[program:(.+)\]$", text, re.MULTILINE)) == programs
    assert text.count("stdout_logfile=/dev/fd/1\nstdout_logfile_maxbytes=0") == len(programs)
