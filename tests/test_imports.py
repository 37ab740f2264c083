"""The one direction of imports, and the one reader of settings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import ROOT

# Each package, and what of ours it may import.
MAY_IMPORT = {
    "conf": {"conf"},
    "scheduler": {"conf", "scheduler"},
    "workers": {"conf", "scheduler", "workers"},
    "gateway": {"conf", "scheduler", "workers", "gateway"},
    "routingsim": {"routingsim"},
}
# They drive the product from outside, and nothing of it may lean on them.
OUTSIDE = {"loadtest", "tests"}

# Settings are read in conf/settings.py alone. What else looks at the environment, and why that is
# no setting of ours:
READERS = {
    "conf/settings.py": "the settings",
    "gateway/server/gunicorn_conf.py": "supervisord's own mark",
    "gateway/server/live_configuration.py": "secrets, whose names are in sources.toml",
    "conf/install.py": "compiler and PATH, before anything of ours is installed",
    "conf/lifecycle.py": "what supervisord tells its programs",
    "gateway/stack/environment.py": "the environment that a stack hands on to its processes",
    "routingsim/__main__.py": "imports nothing of ours, and so has settings of its own",
}


def _modules(package: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))


def _imported(tree: ast.Module) -> Iterator[str]:
    """The top-level names that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def _reads_environment(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
            and node.attr in ("environ", "environb", "getenv")
        ):
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            return any(alias.name in ("environ", "environb", "getenv") for alias in node.names)
    return False


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_go_in_one_direction_only(package: str) -> None:
    ours = MAY_IMPORT.keys() | OUTSIDE
    modules = list(_modules(package))
    assert modules
    wrong = {
        name: found
        for name, tree in modules
        if (found := (set(_imported(tree)) & ours) - MAY_IMPORT[package])
    }
    assert wrong == {}


def test_there_are_no_other_packages() -> None:
    packages = {path.parent.name for path in ROOT.glob("[a-z]*/__init__.py")}
    assert packages <= MAY_IMPORT.keys() | OUTSIDE


def test_only_the_settings_module_reads_settings_from_the_environment() -> None:
    readers = {
        name
        for package in MAY_IMPORT
        for name, tree in _modules(package)
        if _reads_environment(tree)
    }
    assert readers == READERS.keys()


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("import os\nos.environ['A']", True),
        ("import os\nos.getenv('A')", True),
        ("from os import environ", True),
        ("import os\nos.getpid()", False),
        ("def f(environ): return environ['A']", False),
    ],
)
def test_a_reader_is_recognised(text: str, reads: bool) -> None:
    assert _reads_environment(ast.parse(text)) is reads


def test_an_import_is_recognised_also_inside_a_function() -> None:
    text = "import a.b\nfrom c.d import e\ndef f():\n    import g\nfrom . import h\n"
    assert set(_imported(ast.parse(text))) == {"a", "c", "g"}


def test_the_product_is_where_it_is_looked_for() -> None:
    assert {Path(name).parts[0] for name in READERS} <= MAY_IMPORT.keys()
