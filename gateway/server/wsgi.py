"""The composition root of an edge process; gunicorn calls ``application`` after each fork."""

from __future__ import annotations

from gateway.edge.app import Deps, create_app
from gateway.server import live_configuration
from gateway.server.strict_http import Application, strict
from scheduler.accept_command import Caps
from scheduler.producer import Producer


def application() -> Application:
    """The edge behind the checks of ``strict_http``, with connections of its own to Redis."""
    live = live_configuration.current()
    settings = live.settings
    caps = Caps(settings.backlog_max_events, settings.backlog_max_bytes, settings.dead_max_events)

    def connect() -> Producer:
        return Producer(settings.redis_url, settings.redis_timeout_seconds, caps)

    return strict(create_app(Deps(live.sources, connect, settings.max_body_bytes)))
