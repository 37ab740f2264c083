"""The Lua verbs, read from ``lua/`` once and known to Redis by their SHA-1.

Each verb is one file. Its head comment lists KEYS, ARGV and every reply; then it names all of them
as locals, and its body uses these names only. KEYS and ARGV keep one order in all verbs, and each
verb takes those that it needs:

    KEYS  stats, event, body, ready, turn, wake, locks, alone, retry, wake:scheduler, dead,
          done, quota, process, breaker, probes
    ARGV  prefix, lane, id, gen, owner, boot, lease, max crashes, then those of this verb alone,
          a list of any length last

``-- include: name`` inserts ``lua/includes/name.lua``: one function of that name, which gets all
that it needs as arguments. ``-- constant: NAME`` inserts a local with the value of
``constants.NAME``. Both are inserted once, wherever a script or its includes name them again.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scheduler import constants

FOLDER = Path(__file__).parent / "lua"
_INSERTION = re.compile(r"^-- (include|constant): (\w+)\n", re.MULTILINE)


@dataclass(frozen=True)
class Script:
    """A script as Redis gets it."""

    name: str
    text: str
    sha: str


@cache
def load(name: str) -> Script:
    """The verb of that name.

    Raises FileNotFoundError for an unknown verb or include, AttributeError for an unknown constant.
    """
    text = _expand((FOLDER / f"{name}.lua").read_text("utf-8"), set())
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _expand(text: str, inserted: set[str]) -> str:
    def insertion(match: re.Match[str]) -> str:
        kind, name = match.groups()
        if name in inserted:
            return ""
        inserted.add(name)
        if kind == "constant":
            return f"local {name} = {_literal(getattr(constants, name))}\n"
        return _expand((FOLDER / "includes" / f"{name}.lua").read_text("utf-8"), inserted)

    return _INSERTION.sub(insertion, text)


def _literal(value: float | str) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)
