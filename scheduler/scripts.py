"""The Lua verbs, read from ``lua/`` once and known by their SHA-1.

A line ``-- include: name`` is replaced by ``lua/lib/name.lua``, so that a rule that several verbs
share (what a holder is, how an id becomes ready) is written in one place.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "lua"
_INCLUDE = re.compile(r"^\s*-- include: (\w+)\n", re.MULTILINE)


@dataclass(frozen=True)
class Script:
    """A script as Redis gets it."""

    name: str
    text: str
    sha: str


@cache
def load(name: str) -> Script:
    """The verb of that name. Raises FileNotFoundError for one that does not exist."""
    text = (FOLDER / f"{name}.lua").read_text("utf-8")
    text = _INCLUDE.sub(lambda m: (FOLDER / "lib" / f"{m[1]}.lua").read_text("utf-8"), text)
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
