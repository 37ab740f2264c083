"""Loads ``sources.toml``: merges each source's table with its preset and checks the result.

Invariant: either all sources are valid, or none is loaded and each problem is one line: file,
table, key, the wrong value, the allowed values. An unknown key is a problem too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conf.settings import SettingsError
from conf.sources import presets
from conf.sources.model import Pointers, Signature, Source, Sources
from conf.sources.secrets import SecretsReader
from conf.sources.table import VARIABLE, Table

NAME = re.compile("[a-z0-9_-]{1,64}")
ENCODINGS = ("hex", "base64", "either")
PREFIX = re.compile(r"[\x20-\x7e]*")

# The keys that every table may have, and those that a scheme adds. All headers of a scheme are
# required except body-hmac's id_header, which few couriers have.
COMMON = {
    "preset",
    "scheme",
    "secrets_env",
    "demo_secret",
    "secret_format",
    "optional",
    "pointers",
    "statuses",
    "dedup_fields",
    "quota_per_second",
    "quota_burst",
}
SCHEMES: dict[str, set[str]] = {
    "body-hmac": {"signature_header", "prefix", "encoding", "id_header"},
    "standard-webhooks": {"signature_header", "id_header", "timestamp_header", "tolerance_seconds"},
    "stripe": {"signature_header", "tolerance_seconds"},
    "token": {"signature_header", "prefix", "authenticity"},
}


class SourcesError(SettingsError):
    """One or more sources are wrong. ``str()`` has one printable line for each problem."""


def load_sources(path: Path, environ: Mapping[str, str] | None, profile: str) -> Sources:
    """Read and check all sources.

    environ: holds the secrets; None in a process that verifies no signature. profile: local and
    demo allow the published demo secrets. Raises ``SourcesError``.
    """
    problems: list[str] = []
    known, tables = presets.read(presets.PRESETS, problems), presets.read(path, problems)
    if not tables and not problems:
        problems.append(
            f"{path}: holds no source; it needs a table for each source, such as [bench]"
        )
    secrets_reader = SecretsReader(environ, profile)
    sources: dict[str, Source] = {}
    for name, own in tables.items():
        where = f"{path}: [{name}]"
        if not NAME.fullmatch(name):
            problems.append(f"{where} the name of a source must be 1 to 64 of a-z 0-9 _ -")
        elif not isinstance(own, dict):
            problems.append(f"{path}: {name}: unknown key; a source is a table, [{name}]")
        else:
            preset = presets.preset_of(where, own, known, problems)
            if preset is not None:
                table = Table(where, presets.merged_with_own(preset, own), problems)
                sources[name] = _source(name, own, table, secrets_reader)
    if problems:
        raise SourcesError(problems)
    return Sources(sources, tuple(secrets_reader.warnings), tuple(secrets_reader.notices))


def _source(
    name: str, own: Mapping[str, Any], table: Table, secrets_reader: SecretsReader
) -> Source:
    signature = _signature(own, table)
    if signature.scheme == "token":
        secrets_reader.warnings.append(f"{name}: token-only: its events are not signed")
    pointers = _pointers(table)
    dedup = [
        table.pointer("dedup_fields", text)
        for text in table.texts("dedup_fields", False, "a list of JSON Pointers")
    ]
    if pointers.event_id and signature.id_header:
        how = "" if signature.scheme == "body-hmac" else "signed "
        table.report("pointers.event_id", f"the {how}{signature.id_header} is the event id")
    if dedup and (pointers.event_id or signature.id_header):
        table.report("dedup_fields", "only for a source that sends no event id, and this one does")
    per_second = table.number("quota_per_second", float, 0, 1e6, 0)
    burst = table.number("quota_burst", float, 0, 1e7, max(1.0, per_second) if per_second else 0)
    if bool(per_second) != bool(burst):
        table.report(
            "quota_burst",
            f"{burst:g} is not allowed with quota_per_second {per_second:g}"
            "; either both are above 0 or neither is",
        )
    secrets = secrets_reader.secrets(table, name, _variables(table))
    statuses, ignored = table.statuses("statuses")
    return Source(
        name=name,
        signature=signature,
        secrets=secrets,
        pointers=pointers,
        statuses=statuses,
        ignored=ignored,
        dedup_fields=tuple(p for p in dedup if p),
        quota_per_second=per_second,
        quota_burst=burst,
    )


def _signature(own: Mapping[str, Any], table: Table) -> Signature:
    scheme = table.choice("scheme", SCHEMES)
    allowed = SCHEMES.get(scheme)
    if allowed is None:  # already reported; the other keys depend on the scheme
        return Signature("", "")
    table.allow_only(COMMON | allowed, f' of scheme "{scheme}"')
    if scheme == "token" and own.get("authenticity") != "token-only":
        # Required in the source's own table, so that the operator decides it and not a preset.
        table.report("authenticity", 'must be "token-only": it confirms that events are not signed')
    tolerance = "tolerance_seconds" in allowed and table.number("tolerance_seconds", int, 1, 86_400)
    has_id = "id_header" in (table.keys if scheme == "body-hmac" else allowed)
    return Signature(  # keys that the scheme does not have are already reported
        scheme=scheme,
        header=table.header("signature_header"),
        prefix=table.text("prefix", PREFIX, "printable ASCII", "") if "prefix" in allowed else "",
        encoding=table.choice("encoding", ENCODINGS, "hex") if "encoding" in allowed else "hex",
        id_header=table.header("id_header") if has_id else "",
        timestamp_header=table.header("timestamp_header") if "timestamp_header" in allowed else "",
        tolerance_seconds=int(tolerance),
    )


def _pointers(table: Table) -> Pointers:
    value = table.keys.get("pointers")
    if not isinstance(value, dict):
        table.report(
            "pointers",
            "must be a table with shipment_id and status, and with event_id and occurred_at if the "
            "courier sends them",
        )
        return Pointers()
    inner = Table(f"{table.where} pointers:", value, table.problems)
    inner.allow_only({"event_id", "shipment_id", "status", "occurred_at"})
    for key in ("shipment_id", "status"):
        if key not in value:
            inner.report(key, "missing; it must be a JSON Pointer such as /result/status")
    return Pointers(
        **{
            key: inner.pointer(key, value[key])
            for key in ("event_id", "shipment_id", "status", "occurred_at")
            if key in value
        }
    )


def _variables(table: Table) -> list[str]:
    wanted = 'a list of environment variables, such as ["BENCH_SECRET"]'
    names = table.texts("secrets_env", True, wanted)
    wrong = [name for name in names if not VARIABLE.fullmatch(name)]
    for name in wrong:
        table.report("secrets_env", f'"{name}" is not allowed; it must be {wanted}')
    return [] if wrong else names
