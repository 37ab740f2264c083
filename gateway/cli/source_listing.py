"""What a source accepts, as text lines. Secrets appear only by the names of their variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from conf.sources.model import OTHER, Source
from conf.sources.statuses import Status
from gateway.diagnosis.explanation import event_id_origin


def listing(source: Source, table: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    """table: the source's, with its preset applied. environ: holds its secrets."""
    off = "" if source.enabled else "   OFF: none of its secrets is set"
    rows = [
        ("signature", _signature(source)),
        ("secrets", _secrets(source, table, environ)),
        ("time", _time(source)),
        ("event id", event_id_origin(source)),
        ("reads", _pointers(source)),
        ("statuses", "; ".join(_statuses(source))),
        ("quota", _quota(source)),
    ]
    return [
        f"{source.name}   POST /v1/events/{source.name}{off}",
        *(f"  {name:<10} {text}" for name, text in rows),
    ]


def _signature(source: Source) -> str:
    s = source.signature
    prefix = f' after "{s.prefix}"' if s.prefix else ""
    match s.scheme:
        case "token":
            return (
                f"TOKEN ONLY: a fixed token in {s.header}{prefix}; events are not signed, "
                "anyone who has seen one can forge others"
            )
        case "standard-webhooks":
            return (
                f"Standard Webhooks: HMAC-SHA256 over id, time and body, in {s.header} "
                f"(v1,<base64>), with {s.id_header} and {s.timestamp_header}"
            )
        case "stripe":
            return f"HMAC-SHA256 over time and body, in {s.header} (t=<seconds>,v1=<hex>)"
        case _:
            encoding = "hex or base64" if s.encoding == "either" else s.encoding
            return f"HMAC-SHA256 over the body, in {encoding}{prefix}, in {s.header}"


def _secrets(source: Source, table: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    form = table.get("secret_format", "text")
    live = {secret.label for secret in source.secrets}
    states = []
    for variable in table["secrets_env"]:
        text = environ.get(variable, "")
        state = "not set"
        if variable in live and not text.strip():
            state = "not set, the published demo secret is used"
        elif variable in live:
            demo = text == table.get("demo_secret")
            state = "live, and it is the published demo secret" if demo else "live"
        states.append(f"{variable} ({state})")
    return ", ".join(states) + ("" if form == "text" else f"; read as {form}")


def _time(source: Source) -> str:
    tolerance = source.signature.tolerance_seconds
    return (
        f"signed; at most {tolerance} s off, either way"
        if tolerance
        else "not signed: only the event id identifies a repeat"
    )


def _pointers(source: Source) -> str:
    p = source.pointers
    at = p.occurred_at.text if p.occurred_at else "none (the time of receipt is used)"
    return (
        f"shipment {p.shipment_id.text if p.shipment_id else '-'}, "
        f"status {p.status.text if p.status else '-'}, occurred at {at}"
    )


def _statuses(source: Source) -> Iterator[str]:
    if source.statuses == {status.value: status for status in Status}:
        yield "canonical"
    else:
        for status in Status:
            words = [w for w, s in source.statuses.items() if s is status and w != OTHER]
            if words:
                yield f"{status}: {', '.join(words)}"
    ignored = sorted(source.ignored - {OTHER})
    if ignored:
        yield f"ignored: {', '.join(ignored)}"
    other = source.statuses.get(OTHER)
    yield "any other: " + (other or ("ignored" if OTHER in source.ignored else "dead letter"))


def _quota(source: Source) -> str:
    if not source.quota_per_second:
        return "none"
    return f"{source.quota_per_second:g} events a second, {source.quota_burst:g} at once"
