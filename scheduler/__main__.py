"""``python -m scheduler``: the scheduler process."""

from __future__ import annotations

import logging

from conf.lifecycle import Stop, begin, process_name
from scheduler.promoter import Promoter


def main() -> None:
    settings = begin(process_name("scheduler"))
    stop = Stop()
    stop.install()
    log = logging.getLogger("scheduler")
    log.info("promoting retries and expired locks")
    Promoter(settings, stop).run()
    log.info("stopped (%s)", stop.reason)


if __name__ == "__main__":
    main()
