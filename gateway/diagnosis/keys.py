"""Every key that may have signed: the live ones, their other readings, and those of the past."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from conf.sources.model import Source
from conf.sources.secrets import key_of


@dataclass(frozen=True, slots=True)
class Key:
    """fault: why the edge does not take it, a sentence with what to do; empty for a live key."""

    key: bytes = field(repr=False)
    label: str
    fault: str = ""


def keys(
    source: Source,
    tables: Mapping[str, Mapping[str, Any]],
    environ: Mapping[str, str],
    tried: list[str],
) -> list[Key]:
    """Candidates for ``source``, the likeliest first, each key once.

    tables: all sources with their presets. tried: further environment variables to try.
    """
    found = {secret.key: Key(secret.key, secret.label) for secret in source.secrets}
    for key in _candidates(source.name, tables, environ, tried):
        if key.key:
            found.setdefault(key.key, key)
    return list(found.values())


def _candidates(
    name: str, tables: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str], tried: list[str]
) -> Iterator[Key]:
    table = tables[name]
    variables: list[str] = table["secrets_env"]
    form: str = table.get("secret_format", "text")
    live = {v: environ[v] for v in variables if environ.get(v, "").strip()}
    for variable, text in live.items():
        yield from _readings(text, form, variable)
    if demo := table.get("demo_secret", ""):
        yield from _configured(
            demo,
            form,
            "the published demo secret",
            "it is signed with the published demo secret, which is not live "
            "here: the courier must use the secret agreed with it",
        )
    for variable in _retired(variables, environ, tried):
        yield from _all(
            environ[variable],
            form,
            variable,
            f"it is signed with {variable}, which is not live (not in secrets_env): a "
            "retired key; the courier must move to the live one, or put the variable "
            "back into secrets_env until it has",
        )
    for other, its in tables.items():
        for variable in its["secrets_env"] if other != name else ():
            if environ.get(variable, "").strip():
                yield from _all(
                    environ[variable],
                    its.get("secret_format", "text"),
                    variable,
                    f"it is signed with {variable}, the secret of source {other}: the "
                    "courier posts to the wrong address, or two secrets are mixed up",
                )


def _retired(variables: list[str], environ: Mapping[str, str], tried: list[str]) -> list[str]:
    """Variables beside the live ones that are named after them (ACME_SECRET_2024 beside
    ACME_SECRET), and those that the operator names."""
    beside = sorted(
        v
        for v in environ
        if v not in variables and any(v.startswith(known + "_") for known in variables)
    )
    return [v for v in [*tried, *beside] if v not in variables and environ.get(v, "").strip()]


def _configured(text: str, form: str, label: str, fault: str = "") -> Iterator[Key]:
    key = key_of(text, form)
    if key is not None:
        yield Key(key, label, fault)


def _all(text: str, form: str, label: str, fault: str) -> Iterator[Key]:
    yield from _configured(text, form, label, fault)
    for key in _readings(text, form, label):
        yield Key(key.key, label, f"{fault} ({key.fault})")


def _readings(text: str, form: str, variable: str) -> Iterator[Key]:
    """The same secret as somebody may have read it who signs."""
    bare = text.strip()
    for other, how in (
        (bare, "without the white space around it: strip it from the variable"),
        (bare.strip("\"'"), "without the quotes around it: strip them from the variable"),
        (text + "\n", "with a line break at its end: the courier must strip it"),
    ):
        if other != text:
            yield from _configured(
                other, form, variable, f"the courier signs with {variable} {how}"
            )
    for other_form, how in (
        ("whsec", "it decodes the base64 of {} (after whsec_, if it is there)"),
        ("text", "it signs with the text of {} as it is, and decodes or normalises nothing"),
        ("nfkd", "it normalises {} (NFKD)"),
    ):
        if other_form != form:
            yield from _configured(
                bare,
                other_form,
                variable,
                f'{how.format(variable)}: set secret_format = "{other_form}" (now "{form}")',
            )
