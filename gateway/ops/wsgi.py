"""The composition root of the ops port, for gunicorn."""

from __future__ import annotations

from typing import Any

import falcon

from conf.lifecycle import process_name, start_process
from gateway.ops.app import create_app


def application() -> falcon.App[Any, Any]:
    """Called by gunicorn in each worker process."""
    settings = start_process(process_name("ops"))
    return create_app(settings.redis_url, settings.ops_token)
