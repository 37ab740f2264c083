"""Persistent connections that are closed after the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from tests.support.persistent_connection import Connect, PersistentConnection


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Open a persistent connection to an edge."""
    with ExitStack() as connections:
        yield lambda edge: connections.enter_context(closing(PersistentConnection(edge)))
