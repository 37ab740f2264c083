"""Every installed Compose reads both files; production does not start without its secrets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conf.settings import ROOT
from tests.docker.engine import composes, run

OVERLAY = ("-f", "docker-compose.yml", "-f", "conf/compose.production.yml")
EXAMPLE = (ROOT / ".env.example").read_text()
REQUIRED = re.findall(r"^(\w+)=$", EXAMPLE, re.MULTILINE)


def filled(folder: Path, but: str = "") -> str:
    """A .env made from the example with every blank filled in, except ``but``."""
    path = folder / "filled.env"
    path.write_text(
        re.sub(
            r"^(\w+)=$",
            lambda m: m[0] if m[1] == but else f"{m[1]}=abcdefgh",
            EXAMPLE,
            flags=re.MULTILINE,
        )
    )
    return str(path)


@pytest.mark.parametrize("compose", composes())
def test_a_clone_without_an_env_file_suffices_for_the_demo(compose: str) -> None:
    run(*compose.split(), "--env-file", "tests/docker/empty.env", "config", "--quiet")


@pytest.mark.parametrize("compose", composes())
def test_the_completed_example_suffices_for_production(compose: str, tmp_path: Path) -> None:
    done = run(*compose.split(), "--env-file", filled(tmp_path), *OVERLAY, "config")
    assert "PROFILE: production" in done.stdout
    assert "demo-" not in done.stdout


@pytest.mark.parametrize("compose", composes())
def test_the_example_names_the_overlay_itself(compose: str, tmp_path: Path) -> None:
    done = run(*compose.split(), "--env-file", filled(tmp_path), "config")
    assert "PROFILE: production" in done.stdout


@pytest.mark.parametrize("compose", composes())
@pytest.mark.parametrize("name", REQUIRED)
def test_production_names_the_secret_that_is_missing(
    compose: str, name: str, tmp_path: Path
) -> None:
    done = run(
        *compose.split(),
        "--env-file",
        filled(tmp_path, but=name),
        *OVERLAY,
        "up",
        "-d",
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.strip().endswith(f"set {name}, see .env.example")
