"""The module that children are forked from: it imports everything and opens nothing."""

from __future__ import annotations

import gc

import pytest  # noqa: F401 — a child loads the main module of its parent, which is pytest's

import tests.crashpoints.processes  # noqa: F401

gc.freeze()  # a collection in a child would copy every page that it shares with the others
