"""One image and one running project for all checks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.docker.engine import composes, docker, missing
from tests.docker.project import Project


def pytest_configure(config: pytest.Config) -> None:
    # `make test` also collects this folder, finds no check_*.py, and needs no engine.
    if "check_*.py" in config.getini("python_files") and (problem := missing()):
        raise pytest.UsageError(problem)


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """The tag of an image built from this checkout."""
    tag = f"gateway-test:{uuid.uuid4().hex[:8]}"
    docker("build", "-t", tag, ".")
    yield tag
    docker("rmi", "--force", tag)


@pytest.fixture(scope="session")
def project(image: str) -> Iterator[Project]:
    """The demo profile, without settings; it reuses the layers of ``image``."""
    project = Project(composes()[0])
    try:
        project.up()
        yield project
    finally:
        project.remove()
