"""A captured request, given as raw HTTP text or as separate headers and body."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.edge.signatures.verification import environ_name

_REQUEST_LINE = re.compile(r"([A-Z]+) (\S+) HTTP/[0-9.]+")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class NotARequest(Exception):
    """The text is not an HTTP request; ``str()`` says why and what is expected."""


@dataclass(frozen=True, slots=True)
class Captured:
    """headers: names and values as received, decoded as Latin-1 like the edge decodes them.

    method and target: empty if only headers and a body were given.
    """

    headers: Sequence[tuple[str, str]]
    body: bytes
    method: str = ""
    target: str = ""

    def header(self, name: str) -> str | None:
        """The value; repeated headers are joined with commas, as servers do. None if absent."""
        values = [value for n, value in self.headers if n.lower() == name.lower()]
        return ",".join(values) if values else None

    def environ(self) -> dict[str, Any]:
        """The WSGI environ of this request.

        A missing Content-Length becomes the body's length; headers without a request line get a
        JSON content type.
        """
        environ: dict[str, Any] = {"CONTENT_LENGTH": str(len(self.body))}
        if not self.method:
            environ["CONTENT_TYPE"] = "application/json"
        for name, _ in self.headers:
            key = environ_name(name)
            if key in ("HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"):
                key = key.removeprefix("HTTP_")
            environ[key] = self.header(name)
        return environ


def parse(raw: bytes) -> Captured:
    """Parse a request line, headers, a blank line and the body. Raises ``NotARequest``."""
    end = _HEAD_END.search(raw)
    head, body = (raw, b"") if end is None else (raw[: end.start()], raw[end.end() :])
    line, *lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    request = _REQUEST_LINE.fullmatch(line)
    if request is None:
        raise NotARequest(
            "the first line is not a request line; it must be like POST /v1/events/bench HTTP/1.1"
        )
    headers = tuple(header(line) for line in lines)
    return Captured(headers, body, request[1], request[2])


def header(line: str) -> tuple[str, str]:
    """Parse ``Name: value``. Raises ``NotARequest``."""
    name, colon, value = line.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise NotARequest(
            "a line before the blank line is not a header; it must be like X-Signature: sha256=…"
        )
    return name, value.strip(" \t\r")
