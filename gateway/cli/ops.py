"""``ops``: serve the ops port."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from conf.settings import Settings

THREADS = 4  # a few people and a scraper


def ops(settings: Settings, arguments: Namespace) -> int:
    """Replace this process by gunicorn; gthread suffices for the load of this port."""
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
