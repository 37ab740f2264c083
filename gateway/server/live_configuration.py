"""What the edge serves by: its settings, and its sources, which SIGHUP reads anew.

Invariant: once the edge has started, only sources that are right come into force. The master reads
them and its workers inherit them by fork, so a file that an operator has half edited takes nothing
down: neither a reload nor a worker that is started anew.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from conf.lifecycle import begin, process_name, refuse
from conf.settings import Settings, SettingsError
from conf.sources.loader import load_sources
from conf.sources.model import Sources

log = logging.getLogger("gateway")


@dataclass(frozen=True)
class LiveConfiguration:
    settings: Settings
    sources: Sources


_now: LiveConfiguration | None = None


def load() -> LiveConfiguration:
    """Read everything, or after the first time the sources alone.

    Ends the process with a line for each problem, but only the first time; later the problems are
    logged, and what was in force stays.
    """
    global _now
    settings = _now.settings if _now else begin(process_name("gateway"))
    try:
        sources = load_sources(settings.sources_file, os.environ, settings.profile)
    except SettingsError as error:
        if _now is None:
            refuse("gateway", error)
        for problem in error.problems:
            log.error("%s", problem)
        log.error("the sources were not changed: those from before go on being served")
        return _now
    for line in sources.warnings:
        log.warning("%s", line)
    for line in sources.notices:
        log.info("%s", line)
    _now = LiveConfiguration(settings, sources)
    return _now


def now() -> LiveConfiguration:
    """What the master has read, or what a process that has none reads itself."""
    return _now or load()
