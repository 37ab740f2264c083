"""The Lua files: each says what it takes and returns, and touches no key that keys.py omits."""

from __future__ import annotations

import hashlib
import re

import pytest
from redis import Redis

import scheduler.keys
from scheduler.breaker import Breaker, BreakerPolicy
from scheduler.queue import Queue
from scheduler.scripts import FOLDER, load
from tests.support.queue_moves import (
    accept,
    buried,
    crash,
    held,
    held_for_routing,
    promote,
    take_one,
)

VERBS = sorted(path.stem for path in FOLDER.glob("*.lua"))
LIBRARY = sorted(path.stem for path in (FOLDER / "lib").glob("*.lua"))


def _dictionary() -> dict[str, str]:
    """Key family -> type, from the docstring of keys.py."""
    text = scheduler.keys.__doc__ or ""
    return dict(re.findall(r"^    ([a-z:]+?):?(?:<[^ ]*>)? +(LIST|ZSET|HASH|STRING) ", text, re.M))


@pytest.mark.parametrize("verb", VERBS)
def test_every_script_says_what_it_does_takes_and_returns(verb: str) -> None:
    lines = (FOLDER / f"{verb}.lua").read_text("utf-8").splitlines()
    header = []
    for line in lines:
        if not line.startswith("--") or line.startswith("-- include:"):
            break
        header.append(line)
    assert header[0].startswith(f"-- {verb}: ")
    text = "\n".join(header)
    assert re.search(r"^-- KEYS  1 ", text, re.M)
    assert re.search(r"^-- ARGV  1 ", text, re.M)
    assert re.search(r"^-- Returns ", text, re.M)


@pytest.mark.parametrize("verb", VERBS)
def test_a_header_lists_as_many_keys_as_the_script_uses(verb: str) -> None:
    source = (FOLDER / f"{verb}.lua").read_text("utf-8")
    listed = source.split("-- KEYS  ", 1)[1].split("-- ARGV", 1)[0]
    numbers = [int(n) for n in re.findall(r"(?:^|\s)(\d+) [a-z]", listed)]
    used = {int(n) for n in re.findall(r"KEYS\[(\d+)\]", load(verb).text)}
    assert numbers == list(range(1, len(numbers) + 1))
    assert max(used) <= len(numbers)


@pytest.mark.parametrize("verb", [v for v in VERBS if v not in ("accept", "books")])
def test_every_script_opens_with_a_write_that_redis_never_refuses(verb: str) -> None:
    commands = re.findall(r"redis\.call\('(\w+)'", load(verb).text)
    assert commands[0] == "PERSIST"


@pytest.mark.parametrize("verb", VERBS)
def test_every_script_compiles_and_is_known_by_its_sum(store: Redis, verb: str) -> None:
    script = load(verb)
    assert "-- include:" not in script.text
    assert store.script_load(script.text) == script.sha
    assert script.sha == hashlib.sha1(script.text.encode(), usedforsecurity=False).hexdigest()


def test_an_unknown_verb_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        load("no_such_verb")


def test_an_unknown_include_is_an_error(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("lua")
    (folder / "verb.lua").write_text("-- include: missing\nreturn 1\n")
    monkeypatch.setattr("scheduler.scripts.FOLDER", folder)
    with pytest.raises(FileNotFoundError, match=r"missing\.lua"):
        load.__wrapped__("verb")


def test_every_part_of_the_library_is_included_somewhere() -> None:
    sources = "".join((FOLDER / f"{verb}.lua").read_text("utf-8") for verb in VERBS)
    assert [part for part in LIBRARY if f"-- include: {part}\n" not in sources] == []


def test_json_is_never_encoded_anew() -> None:
    assert [verb for verb in VERBS if "cjson" in load(verb).text] == []


def test_every_key_that_the_lua_text_builds_is_in_the_data_dictionary() -> None:
    families = _dictionary().keys()
    text = "".join(load(verb).text for verb in VERBS)
    built = set(re.findall(r"(?:prefix|ARGV\[\d\]) \.\. '(\w+):", text))
    assert built == {"event", "body", "ready", "turn", "wake"}
    assert built <= families


def test_every_key_in_the_store_is_in_the_data_dictionary_with_its_type(
    queue: Queue, store: Redis
) -> None:
    accept(queue, "bench:suspect")
    crash(queue, store, 4, "bench:suspect")
    suspect = take_one(queue)
    buried(queue, "bench:dead")
    queue.done(held(queue, "bench:done"), "recorded")
    queue.retry(held_for_routing(queue, "bench:retry"), 60, "timeout")
    held(queue, "bench:locked")
    accept(queue, "bench:ready", quota=(9, 9))
    queue.defer(suspect, 0, "process_stopped")
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
