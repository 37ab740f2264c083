"""Presets: how known providers sign and where their payloads hold which field.

Invariant: a key in a source's own table always overrides the preset.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conf.sources.model import Signature

PRESETS = Path(__file__).resolve().parents[1] / "presets.toml"


def read(path: Path, problems: list[str]) -> dict[str, Any]:
    """The tables of a TOML file. If it cannot be read: none, and a line in ``problems``."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
    except ValueError as error:  # invalid TOML or UTF-8
        problems.append(f"{path}: is not TOML: {error}")
    return {}


def preset_of(
    where: str, own: Mapping[str, Any], presets: Mapping[str, Any], problems: list[str]
) -> Mapping[str, Any] | None:
    """The preset that a table names. Empty if it names none; None if the preset does not exist."""
    name = own.get("preset")
    if name is None:
        return {}
    if isinstance(name, str) and name in presets:
        preset: Mapping[str, Any] = presets[name]
        return preset
    allowed = ", ".join(sorted(presets))
    problems.append(f'{where} preset: "{name}" is unknown; allowed: {allowed}')
    return None


def merged_with_own(preset: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The preset's keys, overridden by the source's own; statuses and pointers key by key.

    A source has exactly one way to identify an event, so a table that names one removes the
    preset's.
    """
    merged = dict(preset)
    # With standard-webhooks the signed id stays the event id.
    if _names_event_id(own) and preset.get("scheme") != "standard-webhooks":
        for key in ("id_header", "dedup_fields"):
            merged.pop(key, None)
        if "pointers" in merged:
            merged["pointers"] = {k: v for k, v in merged["pointers"].items() if k != "event_id"}
    for key, value in own.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            value = below | value
        merged[key] = value
    return merged


def signatures() -> dict[str, Signature]:
    """How each preset signs. Keys that a preset leaves to the source's table have their
    defaults."""
    return {
        name: Signature(
            scheme=preset["scheme"],
            header=preset.get("signature_header", ""),
            prefix=preset.get("prefix", ""),
            encoding=preset.get("encoding", "hex"),
            id_header=preset.get("id_header", ""),
            timestamp_header=preset.get("timestamp_header", ""),
            tolerance_seconds=preset.get("tolerance_seconds", 0),
        )
        for name, preset in read(PRESETS, []).items()
    }


def _names_event_id(own: Mapping[str, Any]) -> bool:
    pointers = own.get("pointers")
    return (
        "id_header" in own
        or "dedup_fields" in own
        or (isinstance(pointers, dict) and "event_id" in pointers)
    )


def tables(path: Path) -> dict[str, dict[str, Any]]:
    """Each source's table merged with its preset, for a file that ``load_sources`` accepts."""
    problems: list[str] = []
    presets = read(PRESETS, problems)
    return {
        name: merged_with_own(preset_of(name, own, presets, problems) or {}, own)
        for name, own in read(path, problems).items()
    }
