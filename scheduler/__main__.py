"""``python -m scheduler``: the scheduler process."""

from __future__ import annotations

import logging

from conf.lifecycle import Stop, process_name, sources_without_secrets, start_process
from scheduler.promoter import Promoter


def main() -> None:
    name = process_name("scheduler")
    settings = start_process(name)
    sources = sources_without_secrets(name, settings)
    stop = Stop()
    stop.install()
    log = logging.getLogger("scheduler")
    log.info("promoting retries and expired locks")
    Promoter(settings, sources.remember_at_least_seconds, stop).run()
    log.info("stopped (%s)", stop.reason)


if __name__ == "__main__":
    main()
