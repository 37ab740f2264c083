"""The configuration that the edge is serving with: settings, and sources that SIGHUP reloads.

Invariant: once the edge has started, only valid sources take effect. The master reads them and its
workers inherit them by fork. So an invalid file breaks neither a reload nor a replacement worker.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from conf.lifecycle import exit_with_problems, process_name, start_process
from conf.settings import Settings, SettingsError
from conf.sources.loader import load_sources
from conf.sources.model import Sources

log = logging.getLogger("gateway")


@dataclass(frozen=True)
class LiveConfiguration:
    settings: Settings
    sources: Sources


_current: LiveConfiguration | None = None


def load() -> LiveConfiguration:
    """Read settings and sources; from the second call on only the sources.

    Problems end the process at the first call. Later they are logged and the current sources stay.
    """
    global _current
    settings = _current.settings if _current else start_process(process_name("gateway"))
    try:
        sources = load_sources(settings.sources_file, os.environ, settings.profile)
    except SettingsError as error:
        if _current is None:
            exit_with_problems("gateway", error)
        for problem in error.problems:
            log.error("%s", problem)
        log.error("the sources are unchanged: the edge keeps serving the previous ones")
        return _current
    for line in sources.warnings:
        log.warning("%s", line)
    for line in sources.notices:
        log.info("%s", line)
    _current = LiveConfiguration(settings, sources)
    return _current


def current() -> LiveConfiguration:
    """The configuration inherited from the master; read here if this process has no master."""
    return _current or load()
