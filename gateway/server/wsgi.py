"""The composition root of an edge process: gunicorn calls ``application`` in each, once forked."""

from __future__ import annotations

from gateway.edge.app import Deps, create_app
from gateway.server import live_configuration
from gateway.server.strict_http import Application, strict
from scheduler.accept_command import Caps
from scheduler.producer import Producer


def application() -> Application:
    """Settings, sources and a connection of its own, put together."""
    settings, sources = live_configuration.now().settings, live_configuration.now().sources
    caps = Caps(settings.backlog_max_events, settings.backlog_max_bytes, settings.dead_max_events)

    def connect() -> Producer:
        return Producer(settings.redis_url, settings.redis_timeout_seconds, caps)

    return strict(create_app(Deps(sources, connect, settings.max_body_bytes)))
