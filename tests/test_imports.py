"""Imports go in one direction, between packages and between their subpackages; only the listed
modules read the environment."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.support.servers import ROOT

# Each package of the product, and the project's packages that it may import.
PACKAGES = {
    "conf": {"conf"},
    "scheduler": {"conf", "scheduler"},
    "workers": {"conf", "scheduler", "workers"},
    "gateway": {"conf", "scheduler", "workers", "gateway"},
    "routingsim": {"routingsim"},
}
# They use the product from outside; the product must not import them.
OUTSIDE = {"loadtest", "tests"}

LOADTEST = {"conf", "scheduler", "workers", "gateway"}

# Each subpackage, and what of the project it may import in addition to itself.
SUBPACKAGES = {
    "conf.sources": {"conf.settings"},
    "gateway.courier": {"conf"},
    "gateway.edge": {"conf", "scheduler", "gateway.courier"},
    "gateway.server": {"conf", "scheduler", "gateway.edge"},
    "gateway.ops": {"conf", "scheduler", "gateway.edge.problems"},
    "gateway.diagnosis": {
        "conf",
        "workers.canonical_event",
        "workers.errors",
        "gateway.edge",
        "gateway.courier",
    },
    "gateway.stack": {"conf"},
    "gateway.local": {"gateway.stack"},
    "gateway.cli": {"conf", "scheduler", "workers", "gateway"},
    "loadtest.harness": LOADTEST,
    "loadtest.load": LOADTEST | {"loadtest.harness"},
    "loadtest.bench": LOADTEST | {"loadtest.harness"},
    "loadtest.chaos": LOADTEST | {"loadtest.harness", "routingsim"},
    "loadtest.soak": LOADTEST | {"loadtest.harness"},
}

# conf/settings.py alone reads settings. These other modules read the environment for the reason
# given, which is not a setting.
READERS = {
    "conf/settings.py": "the settings",
    "gateway/server/gunicorn_conf.py": "the variable by which supervisord marks its children",
    "gateway/server/live_configuration.py": "secrets, whose variables are named in sources.toml",
    "conf/install.py": "compiler and PATH, before any package is installed",
    "conf/lifecycle.py": "the variables that supervisord sets for its programs",
    "gateway/stack/environment.py": "the environment that a stack passes to its processes",
    "routingsim/__main__.py": "its own settings: the simulator imports nothing of the project",
}


def _modules(package: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / package.replace(".", "/")).rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))


def _imported(tree: ast.Module) -> Iterator[str]:
    """The full names that a module imports anywhere in it, functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _forbidden(tree: ast.Module, allowed: Iterable[str]) -> set[str]:
    """The project's modules that a module imports although the table does not allow them."""
    project = PACKAGES.keys() | OUTSIDE
    return {
        name
        for name in _imported(tree)
        if name.partition(".")[0] in project
        and not any(f"{name}.".startswith(f"{prefix}.") for prefix in allowed)
    }


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


@pytest.mark.parametrize(("place", "allowed"), [*PACKAGES.items(), *SUBPACKAGES.items()])
def test_a_package_and_a_subpackage_import_only_what_the_tables_allow(
    place: str, allowed: set[str]
) -> None:
    modules = list(_modules(place))
    assert modules
    wrong = {
        name: found for name, tree in modules if (found := _forbidden(tree, {place, *allowed}))
    }
    assert wrong == {}


def test_the_tables_name_every_package_and_subpackage() -> None:
    packages = {path.parent.name for path in ROOT.glob("[a-z]*/__init__.py")}
    assert packages - OUTSIDE == PACKAGES.keys()
    for package in ("gateway", "loadtest"):
        subpackages = {
            f"{package}.{path.parent.name}" for path in ROOT.glob(f"{package}/*/__init__.py")
        }
        assert subpackages == {name for name in SUBPACKAGES if name.startswith(f"{package}.")}


def test_relative_imports_are_not_used() -> None:
    relative = {
        name
        for package in PACKAGES
        for name, tree in _modules(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    }
    assert relative == set()


def test_only_the_listed_modules_read_the_environment() -> None:
    readers = {
        name for package in PACKAGES for name, tree in _modules(package) if _reads_environment(tree)
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
def test_a_reader_of_the_environment_is_recognised(text: str, reads: bool) -> None:
    assert _reads_environment(ast.parse(text)) is reads


@pytest.mark.parametrize(
    ("text", "forbidden"),
    [
        ("from conf.settings import load\nimport os\nfrom gateway.edge.app import Deps", set()),
        ("from gateway.edge import app", set()),
        ("def f():\n    import gateway.cli.send", {"gateway.cli.send"}),
        ("from gateway.cli import send", {"gateway.cli.send"}),
        ("from gateway import cli", {"gateway.cli"}),
        ("import gateway.edges", {"gateway.edges"}),
        ("from tests.support import edge", {"tests.support.edge"}),
    ],
)
def test_a_forbidden_import_is_recognised(text: str, forbidden: set[str]) -> None:
    assert _forbidden(ast.parse(text), {"conf", "gateway.edge"}) == forbidden


def test_the_listed_readers_lie_in_the_product() -> None:
    assert {Path(name).parts[0] for name in READERS} <= PACKAGES.keys()
