"""``send``: post one event, signed as a courier signs it."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from datetime import UTC, datetime

import urllib3

from conf.settings import Settings
from conf.sources.loader import load_sources
from conf.sources.statuses import Status
from gateway.courier.payload import payload
from gateway.courier.signing import sign

TIMEOUT_SECONDS = 10.0


def send(settings: Settings, arguments: Namespace) -> int:
    """Post the event; returns 0 if the edge accepted it (202) or knew it already (200)."""
    # The secrets come from the running stack's environment (gateway/cli/main.py).
    sources = load_sources(settings.sources_file, arguments.environ, settings.profile)
    source = sources.get(arguments.source)
    if source is None:
        print(
            f"send: no source {arguments.source}; there are {', '.join(sources)}", file=sys.stderr
        )
        return 64
    now = time.time()
    event_id = arguments.id or f"evt_{time.time_ns()}"
    try:
        body = payload(
            source,
            event_id,
            arguments.shipment,
            Status(arguments.status),
            arguments.at or datetime.now(UTC),
        )
        headers = sign(source, event_id, body, now)
    except ValueError as error:
        print(f"send: {error}", file=sys.stderr)
        return 64
    host, _, port = settings.gateway_bind.rpartition(":")
    host = "127.0.0.1" if host in ("0.0.0.0", "[::]") else host
    url = f"{arguments.url or f'http://{host}:{port}'}/v1/events/{source.name}"
    try:
        response = urllib3.request(
            "POST",
            url,
            body=body,
            timeout=TIMEOUT_SECONDS,
            retries=False,
            headers={"Content-Type": "application/json", **headers},
        )
    except urllib3.exceptions.HTTPError as error:
        print(
            f"send: {url} does not answer ({type(error).__name__}): is the stack up? (make up)",
            file=sys.stderr,
        )
        return 69
    print(f"{response.status} {response.data.decode()}")
    return 0 if response.status in (200, 202) else 1
