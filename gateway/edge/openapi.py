"""The OpenAPI 3.1 description of the edge, served at ``/openapi.json``.

Invariant: it repeats no fact that is defined elsewhere. Problems come from ``problems``, sources
and limits from the configuration, methods from the routes. Only which problems an operation may
answer is a table here, and tests compare it with the running edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import falcon
import orjson

from conf.sources.model import Source
from gateway.edge import problems
from gateway.edge.event_id import ID_CHARACTERS_MAX
from gateway.edge.openapi_sources import examples, security, security_schemes
from gateway.edge.problems import RETRY_SECONDS_MAX, Problem

VERSION = "1.0"  # of the described interface; its 1 is the v1 of the paths

Json = dict[str, Any]

ABOUT = """\
Couriers post signed events. An event that is answered 2xx is on disk and is processed once.
After any other answer it may not be stored: send it again. A repeat is safe. The HTTP server itself
rejects a request that is not HTTP/1.1, without a problem document."""


@dataclass(frozen=True)
class Operation:
    """What a path does. answers: status -> (when, component schema of the body)."""

    id: str
    summary: str
    answers: dict[int, tuple[str, str]]
    problems: tuple[Problem, ...] = ()


EVENTS, HEALTHZ, READYZ, OPENAPI = "/v1/events/{source}", "/healthz", "/readyz", "/openapi.json"

OPERATIONS = {
    EVENTS: Operation(
        "event",
        "Post an event: it is verified, made durable and acknowledged",
        {
            202: ("Stored durably for the first time", "Accepted"),
            200: ("A duplicate; nothing was stored again", "Duplicate"),
        },
        (
            problems.BAD_LENGTH,
            problems.NOT_JSON,
            problems.NOT_AN_OBJECT,
            problems.NO_EVENT_ID,
            problems.UNAUTHENTICATED,
            problems.UNKNOWN_SOURCE,
            problems.LENGTH_REQUIRED,
            problems.TOO_LARGE,
            problems.NOT_JSON_CONTENT,
            problems.OVER_QUOTA,
            problems.INTERNAL_ERROR,
            problems.BACKLOG_FULL,
            problems.UNAVAILABLE,
        ),
    ),
    HEALTHZ: Operation("health", "Whether this process is up", {200: ("It is up", "Healthy")}),
    READYZ: Operation(
        "readiness",
        "Whether the edge accepts events now",
        {200: ("It accepts events", "Ready")},
        (problems.INTERNAL_ERROR, problems.NOT_READY),
    ),
    OPENAPI: Operation("description", "This document", {200: ("An OpenAPI 3.1 document", "Any")}),
}
# The answer of each path to another method, and of any other path to every method.
OTHER_METHODS, OTHER_PATHS = problems.METHOD_NOT_ALLOWED, problems.NOT_FOUND

NAME = {
    "type": "string",
    "maxLength": 64 + 1 + ID_CHARACTERS_MAX,
    "description": "<source>:<event id>, which identifies the event everywhere",
}
COUNT = {"type": "integer", "minimum": 0}


def document(sources: Mapping[str, Source], max_body_bytes: int, allow: Mapping[str, str]) -> Json:
    """The document. sources: the enabled ones. allow: path -> its methods, comma-separated."""
    paths: Json = {path: _path(path, methods, allow) for path, methods in allow.items()}
    paths[EVENTS]["post"] |= {
        "parameters": _parameters(sources, max_body_bytes),
        "requestBody": _body(sources, max_body_bytes),
        "security": security(sources),
    }
    paths["x-other-paths"] = _responses((OTHER_PATHS,))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fincart Event Gateway", "version": VERSION, "description": ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": security_schemes(sources)},
    }


def _path(path: str, methods: str, allow: Mapping[str, str]) -> Json:
    operation = OPERATIONS[path]
    return {
        **{method.lower(): _operation(operation, method) for method in methods.split(", ")},
        "x-other-methods": _responses((OTHER_METHODS,), allow[path]),
    }


def _operation(operation: Operation, method: str) -> Json:
    answers: Json = {
        str(status): {"description": when, "content": _content("application/json", schema)}
        for status, (when, schema) in operation.answers.items()
    } | _responses(operation.problems)
    if method == "HEAD":
        for answer in answers.values():
            del answer["content"]
    name = operation.id if method != "HEAD" else f"{operation.id}_head"
    return {"operationId": name, "summary": operation.summary, "responses": answers}


def _content(kind: str, schema: str) -> Json:
    return {kind: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _responses(found: tuple[Problem, ...], allow: str = "") -> Json:
    """The responses for the problems, one per status."""
    by_status: dict[int, list[Problem]] = {}
    for problem in found:
        by_status.setdefault(problem.status.value, []).append(problem)
    return {str(status): _response(status, group, allow) for status, group in by_status.items()}


def _response(status: int, group: list[Problem], allow: str) -> Json:
    known = [orjson.loads(problem.body) for problem in group]
    of_these = {
        "properties": {
            "type": {"enum": [body["type"] for body in known]},
            "status": {"const": status},
        }
    }
    content: Json = _content(problems.CONTENT_TYPE, "Problem")
    content[problems.CONTENT_TYPE] = {
        "schema": {"allOf": [content[problems.CONTENT_TYPE]["schema"], of_these]},
        "examples": {
            problem.code: {"value": body} for problem, body in zip(group, known, strict=True)
        },
    }
    headers: Json = {}
    if status in (429, 503):
        seconds = {"type": "integer", "minimum": 1, "maximum": RETRY_SECONDS_MAX}
        headers["Retry-After"] = {
            "description": "Seconds after which to send the event again",
            "required": True,
            "schema": seconds,
        }
    if allow:
        headers["Allow"] = {
            "description": "The methods of this path",
            "required": True,
            "schema": {"const": allow},
        }
    answer: Json = {
        "description": "; ".join(problem.title for problem in group),
        "content": content,
    }
    return answer | ({"headers": headers} if headers else {})


def _parameters(sources: Mapping[str, Source], max_body_bytes: int) -> list[Json]:
    return [
        {
            "name": "source",
            "in": "path",
            "required": True,
            "description": "The source that sends the event",
            "schema": {"type": "string", "enum": sorted(sources)},
        },
        {
            "name": "Content-Length",
            "in": "header",
            "required": True,
            "description": "Bytes of the body. There must be no Transfer-Encoding.",
            "schema": {"type": "integer", "minimum": 1, "maximum": max_body_bytes},
        },
    ]


def _body(sources: Mapping[str, Source], max_body_bytes: int) -> Json:
    content = {"schema": {"type": "object"}, "examples": examples(sources)}
    return {
        "required": True,
        "description": f"A JSON object in UTF-8 of at most {max_body_bytes} bytes, signed by the "
        "scheme of its source. The event id in it, or in the signed header, has at most "
        f"{ID_CHARACTERS_MAX} printable characters.",
        "content": {
            "application/json": content,
            "application/*+json": {"schema": {"type": "object"}},
        },
    }


def _schemas() -> Json:
    return {
        "Accepted": _object({"status": {"const": "accepted"}, "id": NAME}),
        "Duplicate": _object({"status": {"const": "duplicate"}, "id": NAME}),
        "Healthy": _object({"status": {"const": "ok"}}),
        "Ready": _object(
            {
                "status": {"const": "ready"},
                "durability": {
                    "enum": ["always", "everysec", "none", "unknown"],
                    "description": "What Redis may lose when its host fails: nothing, two "
                    "seconds, everything since its last snapshot, or unknown",
                },
                **{
                    f"{gauge}{cap}": COUNT
                    for gauge in ("backlog", "backlog_bytes", "dead")
                    for cap in ("", "_max")
                },
            }
        ),
        "Any": {"type": "object"},
        "Problem": _object(
            {
                "type": {
                    "type": "string",
                    "pattern": "^urn:fincart:problem:[a-z0-9-]+$",
                    "description": "The kind of problem; stable",
                },
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string", "description": "What to do, or what exactly is wrong"},
            },
            "detail",
        ),
    }


def _object(properties: Json, *optional: str) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "required": [name for name in properties if name not in optional],
    }


class OpenApi:
    """Serves the document, built once."""

    def __init__(self, content: Json) -> None:
        self._body = orjson.dumps(content)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.data = self._body

    on_head = on_get

    def on_options(self, req: falcon.Request, resp: falcon.Response) -> None:
        raise falcon.HTTPMethodNotAllowed([])  # else Falcon answers it with a 200
