"""Settings: a wrong value stops the start, and all wrong values are reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.settings import ROOT, Settings, SettingsError, load, variable

NUMBERS = [setting for setting in fields(Settings) if type(setting.default) in (int, float)]
NAMES = {variable(setting) for setting in fields(Settings)}

WRONG = [
    ("PROFILE", "staging", "one of production, demo, local"),
    ("LOG_LEVEL", "loud", "one of DEBUG, INFO, WARNING, ERROR"),
    ("REDIS_URL", "http://127.0.0.1", "redis://host:port"),
    ("REDIS_URL", "redis://127.0.0.1:70000", "redis://host:port"),
    ("REDIS_URL", "redis://", "redis://host:port"),
    ("REDIS_URL", "127.0.0.1:6379", "redis://host:port"),
    ("MONGO_URL", "redis://127.0.0.1", "mongodb://host:port"),
    ("ROUTING_URL", "127.0.0.1:8090", "http://host:port"),
    ("GATEWAY_BIND", "8080", "host:port"),
    ("GATEWAY_BIND", "0.0.0.0:0", "host:port"),
    ("GATEWAY_BIND", ":8080", "host:port"),
    ("OPS_BIND", "127.0.0.1:65536", "host:port"),
    ("SOURCES_FILE", "no/such/file.toml", "a file that exists"),
    ("OPS_TOKEN", "short", "at least 8 characters"),
    ("WEB_CONCURRENCY", "four", "a whole number from 1 to 64"),
    ("WEB_CONCURRENCY", "1.5", "a whole number from 1 to 64"),
    ("LEASE_SECONDS", "15s", "a number from 1 to 3600"),
    ("LEASE_SECONDS", "nan", "a number from 1 to 3600"),
    ("LEASE_SECONDS", "inf", "a number from 1 to 3600"),
    ("BACKLOG_MAX_EVENTS", "0", "a whole number of 1 or more"),
]


def _problems(environ: Mapping[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(environ)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


@pytest.mark.parametrize(("name", "value", "allowed"), WRONG)
def test_the_message_names_the_variable_the_wrong_value_and_the_allowed_ones(
    name: str, value: str, allowed: str
) -> None:
    [problem] = _problems({name: value})
    assert problem.startswith(f"{name}=")
    assert value in problem or name == "OPS_TOKEN"  # a secret, so not shown
    assert allowed in problem
    assert "\n" not in problem


def test_messages_hold_no_token_and_no_password() -> None:
    problems = _problems(
        {
            "OPS_TOKEN": "hunter2",
            "REDIS_URL": "redis://me:hunter2@host:none",
            "MONGO_URL": "http://me:hunter2@host",
        }
    )
    assert len(problems) == 3
    assert "hunter2" not in "".join(problems)


@pytest.mark.parametrize("setting", NUMBERS, ids=variable)
def test_every_number_has_a_lower_bound_and_must_be_numeric(setting: Any) -> None:
    for value in ("-1", "many", "nan"):
        [problem] = _problems({variable(setting): value})
        assert problem.startswith(f"{variable(setting)}=")


def test_all_problems_are_reported_at_once_in_the_order_of_the_table() -> None:
    environ = {name: value for name, value, _ in reversed(WRONG)}
    reported = [problem.split("=")[0] for problem in _problems(environ)]
    assert reported == [variable(s) for s in fields(Settings) if variable(s) in environ]


def test_without_an_environment_all_settings_have_their_defaults() -> None:
    assert load({}) == Settings()


@pytest.mark.parametrize("setting", fields(Settings), ids=variable)
def test_every_default_is_allowed_and_has_unit_and_trade_off(setting: Any) -> None:
    assert setting.metadata["unit"]
    assert len(setting.metadata["why"]) >= 20
    if setting.default != "":
        assert setting.metadata["check"](str(setting.default)) == setting.default


def test_the_names_of_the_contract_exist() -> None:
    contract = """
        REDIS_URL MONGO_URL ROUTING_URL GATEWAY_BIND OPS_BIND OPS_TOKEN SOURCES_FILE
        LOOKUP_PROCESSES LOOKUP_THREADS ROUTING_PROCESSES ROUTING_THREADS LEASE_SECONDS
        MAX_ATTEMPTS RETRY_BASE_SECONDS RETRY_CAP_SECONDS RETRY_FLOOR_SECONDS MAX_AGE_SECONDS
        UNKNOWN_SHIPMENT_SECONDS MAX_CRASHES BACKLOG_MAX_EVENTS BACKLOG_MAX_BYTES
        DEDUP_WINDOW_SECONDS TOMBSTONES_MAX MAX_BODY_BYTES DRAIN_SECONDS
        ROUTING_TIMEOUT_SECONDS WEB_CONCURRENCY
    """
    assert set(contract.split()) <= NAMES


def test_the_defaults_of_the_contract_hold() -> None:
    s = Settings()
    assert (s.gateway_bind, s.ops_bind) == ("0.0.0.0:8080", "127.0.0.1:8081")
    assert (s.routing_url, s.max_body_bytes) == ("http://127.0.0.1:8090", 256 * 1024)
    assert s.mongo_url == "mongodb://127.0.0.1:27017/fincart"
    assert (s.retry_floor_seconds, s.retry_base_seconds, s.retry_cap_seconds) == (1, 2, 15 * 60)
    assert (s.max_attempts, s.max_crashes) == (12, 5)
    assert (s.max_age_seconds, s.dedup_window_seconds) == (86_400, 86_400)
    assert s.unknown_shipment_seconds == 6 * 3600


def test_values_are_read_and_have_their_types() -> None:
    s = load(
        {
            "LEASE_SECONDS": "2.5",
            "MAX_ATTEMPTS": "3",
            "REDIS_URL": "unix:///run/redis.sock",
            "SOURCES_FILE": "conf/sources.toml",
            "RUN_DIR": "/tmp/x",
            "OPS_TOKEN": "a" * 8,
        }
    )
    assert (s.lease_seconds, s.max_attempts) == (2.5, 3)
    assert s.redis_url == "unix:///run/redis.sock"
    assert s.sources_file == ROOT / "conf" / "sources.toml"
    assert s.run_dir == Path("/tmp/x")
    assert s.ops_token == "a" * 8


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load({"LEASE_SECONDS": "", "REDIS_URL": "  "}) == Settings()


def test_other_variables_are_ignored() -> None:
    assert load({"PATH": "/bin", "LEASE": "x"}) == Settings()


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        (
            {"ATTEMPT_SECONDS": "5", "ROUTING_TIMEOUT_SECONDS": "5"},
            ("ATTEMPT_SECONDS=5", "ROUTING_TIMEOUT_SECONDS=5"),
        ),
        ({"RETRY_CAP_SECONDS": "1"}, ("RETRY_CAP_SECONDS=1", "RETRY_BASE_SECONDS=2")),
    ],
)
def test_contradicting_values_are_both_named(
    environ: dict[str, str], names: tuple[str, str]
) -> None:
    [problem] = _problems(environ)
    assert all(name in problem for name in names)


def test_all_contradictions_are_reported_at_once() -> None:
    environ = {"ATTEMPT_SECONDS": "5", "RETRY_CAP_SECONDS": "1"}
    assert len(_problems(environ)) == 2


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        cast(Any, Settings()).lease_seconds = 1


@given(st.dictionaries(st.sampled_from(sorted(NAMES)), st.text(max_size=20)))
def test_any_text_is_accepted_or_reported_with_its_variable(environ: dict[str, str]) -> None:
    problems: list[str] = []
    try:
        load(environ)
    except SettingsError as error:
        problems = error.problems or ["none, and yet refused"]
    assert [problem for problem in problems if problem.split("=")[0] not in NAMES] == []
    assert [problem for problem in problems if "\n" in problem] == []
