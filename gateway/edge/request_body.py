"""Checks the headers of a request's body, then reads it.

Invariant: a body is exactly as long as its only Content-Length says. Otherwise a proxy in front
that reads the framing in another way could be used to smuggle a second request in.
"""

from __future__ import annotations

import re
from typing import Any

from gateway.edge import problems
from gateway.edge.problems import Problem

LENGTH_DIGITS_MAX = 18  # of a Content-Length; any number with more digits is too large

_JSON = re.compile(r"application/(?:json|[a-z0-9!#$&^_.-]{1,100}\+json)", re.IGNORECASE)
_UTF_8 = re.compile(r'\s*charset\s*=\s*"?utf-?8"?\s*', re.IGNORECASE)


def rejection(environ: dict[str, Any], max_body_bytes: int) -> Problem | None:
    """The problem with the body's headers, or None."""
    length = environ.get("CONTENT_LENGTH")
    if environ.get("HTTP_TRANSFER_ENCODING") is not None or not length:
        return problems.LENGTH_REQUIRED
    if not (length.isascii() and length.isdigit()):
        return problems.BAD_LENGTH
    if len(length) > LENGTH_DIGITS_MAX or int(length) > max_body_bytes:
        return problems.TOO_LARGE
    content_type = environ.get("CONTENT_TYPE")
    if content_type != "application/json" and not is_json(content_type or ""):
        return problems.NOT_JSON_CONTENT
    return None


def is_json(content_type: str) -> bool:
    """application/json or application/*+json, with no parameter but charset=utf-8."""
    kind, *parameters = content_type.split(";")
    return bool(_JSON.fullmatch(kind.strip())) and all(
        _UTF_8.fullmatch(parameter) or not parameter.strip() for parameter in parameters
    )


def read(environ: dict[str, Any]) -> bytes | None:
    """The body; None if it ended early. Call ``rejection`` first."""
    length = int(environ["CONTENT_LENGTH"])
    stream = environ["wsgi.input"]
    try:
        body: bytes = stream.read(length)
        while len(body) < length:  # WSGI lets a read come back short
            more: bytes = stream.read(length - len(body))
            if not more:
                return None
            body += more
    except OSError:  # the client stalled or closed the connection
        return None
    return body
