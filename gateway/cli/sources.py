"""``sources check``: checks sources.toml, lists what each source accepts, explains a request."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path

from conf.settings import Settings
from conf.sources import presets
from conf.sources.loader import SourcesError, load_sources
from conf.sources.model import Source, Sources
from gateway.cli.source_listing import listing
from gateway.diagnosis import captured_request
from gateway.diagnosis.candidates import candidate_keys
from gateway.diagnosis.captured_request import Captured, NotARequest
from gateway.diagnosis.explanation import Inquiry, explain

USAGE = 64


def check(settings: Settings, arguments: Namespace) -> int:
    """Returns 0 if the file is right (and the captured request would be accepted and processed),
    1 with an explanation if not, 64 for wrong arguments. Prints no secret and no signature."""
    try:
        sources = load_sources(settings.sources_file, arguments.environ, settings.profile)
    except SourcesError as error:
        print("\n".join(error.problems))
        return 1
    asked = arguments.request or arguments.header or arguments.body
    if arguments.source is None and asked:
        return _usage_error("which source was it sent to? --source NAME")
    if arguments.source is not None and arguments.source not in sources:
        return _usage_error(f"no source {arguments.source}; there are {', '.join(sources)}")
    if not asked:
        return _list(settings, arguments, sources)
    try:
        now = _seconds(arguments.now)
        request = _request(arguments)
    except (NotARequest, OSError, ValueError) as error:
        return _usage_error(str(error))
    return _explain(settings, arguments, sources[arguments.source], request, now)


def _list(settings: Settings, arguments: Namespace, sources: Sources) -> int:
    tables = presets.tables(settings.sources_file)
    chosen = [arguments.source] if arguments.source else list(sources)
    for name in chosen:
        print("\n".join(listing(sources[name], tables[name], arguments.environ)) + "\n")
    for line in (*sources.warnings, *sources.notices):
        if line.partition(":")[0] in chosen:
            print(line)
    print(f"{settings.sources_file}: {len(sources)} sources, right")
    return 0


def _explain(
    settings: Settings, arguments: Namespace, source: Source, request: Captured, now: float
) -> int:
    tables = presets.tables(settings.sources_file)
    found = explain(
        Inquiry(
            source,
            request,
            candidate_keys(source, tables, arguments.environ, arguments.tried),
            now,
            settings.max_body_bytes,
        )
    )
    print(f"{source.name}: {'accepted' if found.status == 202 else 'rejected'}, {found.status}")
    for line in found.lines:
        print(f"- {line}")
    return 0 if found.good else 1


def _request(arguments: Namespace) -> Captured:
    """Raises ``NotARequest`` or ``OSError``."""
    request = (
        captured_request.parse(_read(arguments.request)) if arguments.request else Captured((), b"")
    )
    # Shells pass UTF-8; the edge decodes header bytes as Latin-1.
    more = [
        captured_request.header(line.encode("utf-8", "surrogateescape").decode("latin-1"))
        for line in arguments.header
    ]
    body = _read(arguments.body) if arguments.body else request.body
    return Captured((*request.headers, *more), body, request.method, request.target)


def _read(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def _seconds(text: str | None) -> float:
    """Raises ``ValueError``, whose text says what is allowed."""
    if text is None:
        return time.time()
    if text.isascii() and text.isdigit() and len(text) <= 12:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"--now {text}: it must be seconds since 1970 or a time in ISO 8601"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _usage_error(problem: str) -> int:
    print(f"sources check: {problem}", file=sys.stderr)
    return USAGE
