"""The harness is what the drivers share: it imports none of them, nor does one import another."""

from __future__ import annotations

import ast

import pytest

from tests.support.servers import ROOT

# Each room, and what of loadtest it may import besides itself.
ROOMS = {
    "harness": set[str](),
    "load": {"harness"},
    "bench": {"harness"},
    "chaos": {"harness"},
    "soak": {"harness"},
}


@pytest.mark.parametrize(("room", "allowed"), ROOMS.items())
def test_a_room_imports_only_what_the_table_allows(room: str, allowed: set[str]) -> None:
    files = list((ROOT / "loadtest" / room).rglob("*.py"))
    assert files
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                package, _, rest = (node.module or "").partition(".")
                if package == "loadtest":
                    names = [rest.partition(".")[0]] if rest else [one.name for one in node.names]
                    assert set(names) <= {room, *allowed}, f"{file}: {names}"
