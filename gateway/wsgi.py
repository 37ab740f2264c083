"""The composition root of an edge process: gunicorn calls ``application`` in each, once forked."""

from __future__ import annotations

from conf import in_force
from gateway.app import Deps, create_app
from gateway.strict_http import Application, strict
from scheduler.accept_command import Caps
from scheduler.intake import Intake


def application() -> Application:
    """Settings, sources and a connection of its own, put together."""
    settings, sources = in_force.now().settings, in_force.now().sources
    caps = Caps(settings.backlog_max_events, settings.backlog_max_bytes, settings.dead_max_events)

    def connect() -> Intake:
        return Intake(settings.redis_url, settings.redis_timeout_seconds, caps)

    return strict(create_app(Deps(sources, connect, settings.max_body_bytes)))
