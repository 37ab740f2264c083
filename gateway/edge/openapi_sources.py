"""How each source signs and what it posts, for the OpenAPI description.

It holds what a sender must know: names and formats of headers, and an example. This module reads
neither secrets nor the names of their variables, so the description cannot show them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from conf.sources.model import Source
from gateway.courier.payload import payload

EXAMPLE_AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
MAC = "HMAC-SHA256"


def security_schemes(sources: Mapping[str, Source]) -> dict[str, Any]:
    """One scheme per header of each source: OpenAPI has no signatures, only API keys in headers."""
    return {
        _name(source, header): {
            "type": "apiKey",
            "in": "header",
            "name": header,
            "description": text,
        }
        for source in _sorted(sources)
        for header, text in _headers(source)
    }


def security(sources: Mapping[str, Source]) -> list[dict[str, list[str]]]:
    """One alternative per source, which needs all headers of that source."""
    return [
        {_name(source, header): [] for header, _ in _headers(source)} for source in _sorted(sources)
    ]


def examples(sources: Mapping[str, Source]) -> dict[str, Any]:
    """An example event per source."""
    return {source.name: {"value": _example(source)} for source in _sorted(sources)}


def _example(source: Source) -> Any:
    status = next(iter(source.statuses.values()))
    return orjson.loads(payload(source, "evt_1", "SHP-1", status, EXAMPLE_AT))


def _sorted(sources: Mapping[str, Source]) -> list[Source]:
    return [sources[name] for name in sorted(sources)]


def _name(source: Source, header: str) -> str:
    return f"{source.name}.{header}"


def _headers(source: Source) -> Iterator[tuple[str, str]]:
    """Each header that the source must send, with its content."""
    s = source.signature
    window = f"at most {s.tolerance_seconds} s before or after the server's time"
    match s.scheme:
        case "standard-webhooks":
            yield s.id_header, "The id of the event; signed"
            yield s.timestamp_header, f"Seconds since 1970, {window}; signed"
            yield (
                s.header,
                (
                    f"v1,<base64 of {MAC} over {s.id_header}.{s.timestamp_header}.body>; "
                    "several signatures may be given, separated by spaces"
                ),
            )
        case "stripe":
            yield (
                s.header,
                (
                    f"t=<seconds since 1970>,v1=<hex of {MAC} over t.body>; several v1 "
                    f"may be given; t is {window}"
                ),
            )
        case "token":
            yield s.header, f"{s.prefix}<the agreed token>"
        case _:
            encoding = {"either": "hex or base64"}.get(s.encoding, s.encoding)
            yield s.header, f"{s.prefix}<{encoding} of {MAC} over the body>"
            if s.id_header:
                yield s.id_header, "The id of the event"
