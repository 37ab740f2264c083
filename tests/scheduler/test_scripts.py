"""The Lua files: documented, in one form, and with no key that keys.py does not list."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from redis import Redis

import scheduler.keys
from scheduler import constants, scripts
from scheduler.breaker import Breaker, BreakerPolicy
from scheduler.queue import Queue
from scheduler.scripts import FOLDER, load
from tests.support.queue_moves import (
    accept,
    crash,
    dead_lettered,
    held,
    held_for_routing,
    promote,
    take_one,
)

VERBS = sorted(path.stem for path in FOLDER.glob("*.lua"))
INCLUDES = sorted(path.stem for path in (FOLDER / "includes").glob("*.lua"))
FILES = [*VERBS, *(f"includes/{name}" for name in INCLUDES)]

# The convention that scripts.py states.
KEYS_ORDER = re.findall(
    r"[a-z:]+", (scripts.__doc__ or "").split("    KEYS  ")[1].split("    ARGV")[0]
)
ARGV_ORDER = ["prefix", "lane", "id", "gen", "owner", "boot", "lease (ms)", "max crashes"]


def _source(file: str) -> str:
    return (FOLDER / f"{file}.lua").read_text("utf-8")


def _header(verb: str) -> str:
    lines = []
    for line in _source(verb).splitlines():
        if not line.startswith("--") or re.match("-- (include|constant):", line):
            break
        lines.append(line)
    return "\n".join(lines)


def _listed(verb: str, what: str) -> list[str]:
    """The entries of a header's KEYS or ARGV, without their numbers."""
    block = re.search(rf"^-- {what}  (1 (?:.|\n--   )*)", _header(verb), re.M)
    assert block
    entries = re.findall(r"(\d+(?:\.\.)?) (.*?)(?=  \d|$)", block[1].replace("\n--     ", " "))
    assert [int(n.rstrip(".")) for n, _ in entries] == list(range(1, len(entries) + 1))
    return [text.strip() for _, text in entries]


def _body(verb: str) -> str:
    """What follows the names of KEYS and ARGV."""
    return re.split(r"^local \w+ = .*(?:KEYS|ARGV).*\n", _source(verb), flags=re.M)[-1]


def _dictionary() -> dict[str, str]:
    """Key family -> type, from the docstring of keys.py."""
    text = scheduler.keys.__doc__ or ""
    return dict(re.findall(r"^    ([a-z:]+?):?(?:<[^ ]*>)? +(LIST|ZSET|HASH|STRING) ", text, re.M))


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_says_what_it_does_takes_and_returns(verb: str) -> None:
    header = _header(verb)
    assert header.startswith(f"-- {verb}: ")
    assert re.search(r"^-- Returns ", header, re.M)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_names_all_of_its_keys_and_arguments_and_its_body_uses_the_names(verb: str) -> None:
    source = _source(verb)
    named = [int(n) for n in re.findall(r"^local \w+_key = KEYS\[(\d+)\]$", source, re.M)]
    assert named == list(range(1, len(_listed(verb, "KEYS")) + 1))
    arguments = re.findall(r"^local \w+ = .*?(?:ARGV\[(\d+)\]|ARGV, (\d+)\))", source, re.M)
    assert [int(a or b) for a, b in arguments] == list(range(1, len(_listed(verb, "ARGV")) + 1))
    assert source.count("KEYS[") == len(named)
    assert source.count("ARGV") - _header(verb).count("ARGV") == len(arguments)


@pytest.mark.parametrize("verb", VERBS)
def test_keys_and_common_arguments_have_the_same_order_in_all_verbs(verb: str) -> None:
    names = [
        key if key == "wake:scheduler" else re.split(":", key.replace("gw:proc", "process"))[0]
        for key in _listed(verb, "KEYS")
    ]
    assert names == sorted(names, key=KEYS_ORDER.index)
    common = [text for text in _listed(verb, "ARGV") if text in ARGV_ORDER]
    assert common == sorted(common, key=ARGV_ORDER.index)
    assert common == _listed(verb, "ARGV")[: len(common)]


@pytest.mark.parametrize("include", INCLUDES)
def test_an_include_is_one_function_of_its_name_that_gets_all_it_needs_as_arguments(
    include: str,
) -> None:
    source = _source(f"includes/{include}")
    assert re.findall(r"^local .*", source, re.M) == re.findall(
        rf"^local function {include}\(.*\)$", source, re.M
    )
    assert len(re.findall(r"^local function ", source, re.M)) == 1
    assert source.endswith("\nend\n")
    assert "KEYS" not in source
    assert "ARGV" not in source
    assert source.startswith(f"-- {include}(")


@pytest.mark.parametrize("verb", [v for v in VERBS if v not in ("accept", "books")])
def test_the_first_call_of_a_verb_allows_writes_at_maxmemory(verb: str) -> None:
    calls = re.findall(r"^(?!--)(?:.*[^\w.])?((?:redis\.call|\w+)\()", _body(verb), re.M)
    assert calls[0] == "allow_writes_at_maxmemory("


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_compiles_and_is_known_by_its_sha1(store: Redis, verb: str) -> None:
    script = load(verb)
    assert not re.search("-- (include|constant):", script.text)
    assert store.script_load(script.text) == script.sha
    assert script.sha == hashlib.sha1(script.text.encode(), usedforsecurity=False).hexdigest()


def test_an_unknown_verb_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        load("no_such_verb")


@pytest.mark.parametrize(
    ("line", "error"),
    [("include: missing", FileNotFoundError), ("constant: MISSING", AttributeError)],
)
def test_an_unknown_include_or_constant_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, error: type[Exception]
) -> None:
    (tmp_path / "verb.lua").write_text(f"-- {line}\nreturn 1\n")
    monkeypatch.setattr("scheduler.scripts.FOLDER", tmp_path)
    with pytest.raises(error, match=r"(?i)missing"):
        load.__wrapped__("verb")


def test_an_include_and_a_constant_are_inserted_once_and_before_what_uses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "includes").mkdir()
    (tmp_path / "includes" / "inner.lua").write_text("-- constant: WAKE_MAX\nINNER\n")
    (tmp_path / "includes" / "outer.lua").write_text("-- include: inner\nOUTER\n")
    (tmp_path / "verb.lua").write_text(
        "-- include: outer\n-- include: inner\n"
        "-- constant: WAKE_MAX\n-- constant: QUARANTINE\nVERB\n"
    )
    monkeypatch.setattr("scheduler.scripts.FOLDER", tmp_path)
    assert load.__wrapped__("verb").text == (
        "local WAKE_MAX = 8\nINNER\nOUTER\nlocal QUARANTINE = '!suspects'\nVERB\n"
    )


@pytest.mark.parametrize("file", FILES)
def test_a_file_names_the_constants_and_includes_that_it_uses_and_no_others(file: str) -> None:
    source = _source(file)
    code = re.sub(r"--.*|'[^']*'", "", source)
    used = set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", code)) - {"KEYS", "ARGV"}
    assert used == set(re.findall(r"^-- constant: (\w+)$", source, re.M))
    called = set(re.findall(r"(?<![.\w])(\w+)\(", code)) & set(INCLUDES)
    called.discard(file.removeprefix("includes/"))
    assert called == set(re.findall(r"^-- include: (\w+)$", source, re.M))


@pytest.mark.parametrize("file", FILES)
def test_lua_defines_no_constant_of_its_own_and_repeats_no_value_of_a_shared_one(file: str) -> None:
    code = re.sub(r"--.*", "", _source(file))
    assert re.findall(r"\b[A-Z][A-Z0-9_]+ *= ", code) == []
    assert constants.QUARANTINE not in code


def test_every_include_is_used() -> None:
    sources = "".join(_source(file) for file in FILES)
    assert [name for name in INCLUDES if f"-- include: {name}\n" not in sources] == []


def test_no_script_encodes_json() -> None:
    assert [verb for verb in VERBS if "cjson" in load(verb).text] == []


def test_every_key_that_the_lua_text_builds_is_in_the_data_dictionary() -> None:
    families = _dictionary().keys()
    text = "".join(load(verb).text for verb in VERBS)
    built = set(re.findall(r"prefix \.\. '(\w+):", text))
    assert built == {"event", "body", "ready", "turn", "wake"}
    assert built <= families


def test_every_key_in_the_store_is_in_the_data_dictionary_with_its_type(
    queue: Queue, store: Redis
) -> None:
    accept(queue, "bench:quarantined")
    crash(queue, store, 4, "bench:quarantined")
    quarantined = take_one(queue)
    dead_lettered(queue, "bench:dead")
    queue.done(held(queue, "bench:done"), "recorded")
    queue.retry(held_for_routing(queue, "bench:retry"), 60, "timeout")
    held(queue, "bench:locked")
    accept(queue, "bench:ready", quota=(9, 9))
    queue.defer(quarantined, 0, "process_stopped")
    queue.reserve("lookup", 9, owner="host/w", boot="b1", lease_seconds=9, held=1)
    queue.alive("host/w", {"pid": 1}, 60)
    promote(queue)
    breaker = Breaker(queue.connection, BreakerPolicy(min_calls=1, first_pause_seconds=0))
    breaker.report(0, 1)
    breaker.ask(1, lifetime_seconds=60, holder="host/w")
    dictionary = _dictionary()
    seen = set()
    for key in store.scan_iter():
        name = key.removeprefix("{gw:0}:")
        family = max((f for f in dictionary if name == f or name.startswith(f + ":")), key=len)
        assert store.type(key) == dictionary[family].lower(), key
        seen.add(family)
    assert seen == dictionary.keys()


def test_every_field_of_an_event_is_in_the_data_dictionary(queue: Queue, store: Redis) -> None:
    accept(queue)
    fields = set(store.hgetall("{gw:0}:event:bench:1"))
    event = take_one(queue)
    queue.defer(event, 0, "mongo_away", route=b"r")
    queue.retry(take_one(queue), 60, "timeout")
    fields |= set(store.hgetall("{gw:0}:event:bench:1"))
    queue.bury(held(queue, "bench:2"), "permanent")
    queue.replay("bench:2")
    queue.defer(take_one(queue), 60, "mongo_away")
    fields |= set(store.hgetall("{gw:0}:event:bench:2"))
    assert fields == set(scheduler.keys.FIELDS)
