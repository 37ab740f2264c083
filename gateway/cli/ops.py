"""``ops``: serve the operators' port."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from conf.settings import Settings

THREADS = 4  # a few people and a scraper; one process, for it holds nothing


def ops(settings: Settings, arguments: Namespace) -> int:
    """Becomes gunicorn. Always gthread: nothing here is in a hurry."""
    os.execv(
        sys.executable,
        [
            sys.executable,
            "-m",
            "gunicorn",
            "--worker-class",
            "gthread",
            "--threads",
            str(THREADS),
            "--bind",
            settings.ops_bind,
            "--log-level",
            "warning",
            "--no-control-socket",
            "gateway.ops.wsgi:application()",
        ],
    )
