"""What the repository holds: no stray file, no binary, and valid configuration for CI."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from conf.settings import ROOT

PACKAGES = {"conf", "gateway", "loadtest", "routingsim", "scheduler", "tests", "workers"}
DESIGN = PACKAGES | {
    "Dockerfile",
    "PROMPTS.md",
    "README.md",
    "docker-compose.yml",
    "requirements.txt",
    "supervisord.conf",
}
CONVENTIONAL = {
    ".ci",
    ".dockerignore",
    ".env.example",
    ".git-blame-ignore-revs",
    ".github",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "SECURITY.md",
    "docs",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements.in",
}
BINARY: set[str] = set()

LINES_MAX = 350
LONG = {
    "tests/gateway/server/test_strict_http.py": "one table of requests for each part of a request",
    "tests/loadtest/test_checker.py": "one short history for each finding",
    "tests/model/model.py": "the whole queue once more, to be read next to the scripts",
    "tests/model/state_machine.py": "one rule for each verb",
}


def tracked() -> list[str]:
    """The files that git tracks, by their path from the root."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def is_text(path: Path) -> bool:
    content = path.read_bytes()
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in content


def test_nothing_lies_at_the_top_level_that_does_not_belong_there() -> None:
    top = {name.partition("/")[0] for name in tracked()}
    assert top - DESIGN - CONVENTIONAL == set()
    assert DESIGN - top == set()


def test_no_file_is_binary() -> None:
    assert {name for name in tracked() if not is_text(ROOT / name)} == BINARY


def test_no_file_of_code_is_long_without_a_reason() -> None:
    code = [name for name in tracked() if name.endswith((".py", ".lua"))]
    long = {name for name in code if len((ROOT / name).read_text().splitlines()) > LINES_MAX}
    assert long - LONG.keys() == set()


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("github-workflows", ".github/workflows/*.yml"),
        ("dependabot", ".github/dependabot.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/[!c]*.yml"),
        ("github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
    ],
)
def test_the_files_for_github_follow_their_published_schemas(schema: str, pattern: str) -> None:
    files = sorted(map(str, ROOT.glob(pattern)))
    assert files
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    run = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_hooks_before_a_commit_are_the_checks_of_style_and_types() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook["entry"] for hook in repository["hooks"]]
    recipe = re.search(
        r"^(?:lint|test): venv.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M
    )
    assert recipe is not None
    checks = [
        line.strip().removeprefix("@").replace("$(RUN)", ".venv/bin/python")
        for line in recipe[1].splitlines()
        if "pytest" not in line
    ]
    assert hooks == checks
