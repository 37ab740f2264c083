"""Reads the live keys of a source from the environment that the caller passes in.

Invariant: no message holds any part of a secret.
"""

from __future__ import annotations

import binascii
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from conf.sources.model import Secret
from conf.sources.table import Table

FORMATS = ("text", "nfkd", "whsec")
DEMO_PROFILES = frozenset({"local", "demo"})


@dataclass(frozen=True)
class SecretsReader:
    """Reads secrets and collects the lines to log about them.

    environ: None in a process that verifies no signature and so needs no secret.
    """

    environ: Mapping[str, str] | None
    profile: str
    warnings: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def secrets(self, table: Table, name: str, variables: list[str]) -> tuple[Secret, ...]:
        """The live secrets of source ``name``, in the order of its ``secrets_env``."""
        form = table.choice("secret_format", FORMATS, "text")
        optional = table.flag("optional")
        demo = table.keys.get("demo_secret", "")
        if not isinstance(demo, str):
            table.report("demo_secret", "it must be a string")
            demo = ""
        if self.environ is None or not variables:
            return ()
        environ = self.environ
        # White space only counts as not set, as it does for settings.
        found = {v: environ[v] for v in variables if environ.get(v, "").strip()}
        for variable, text in found.items():
            if text != text.strip():
                self.warnings.append(
                    f"{name}: {variable} begins or ends with white space, which "
                    "counts as part of the secret"
                )
        if demo and (demo in found.values() or (not found and self.profile in DEMO_PROFILES)):
            found = found or {variables[0]: demo}
            self.warnings.append(
                f"{name}: the published demo secret is live: anyone can sign "
                f"events; set {variables[0]} to a secret of your own"
            )
        elif not found and optional:
            self.notices.append(f"{name}: off, because none of {', '.join(variables)} is set")
        elif not found:
            table.report(
                "secrets_env",
                f"none of {', '.join(variables)} is set in the "
                "environment; set one (or switch the source off with optional = true)",
            )
        keys = {variable: key_of(text, form) for variable, text in found.items()}
        for variable in (v for v, key in keys.items() if key is None):
            table.report("secrets_env", f"{variable} must be whsec_ followed by base64")
        return tuple(Secret(variable, key) for variable, key in keys.items() if key is not None)


def key_of(text: str, form: str) -> bytes | None:
    """The key in a secret's text, which is in one of ``FORMATS``; None if it holds no key."""
    if form == "whsec":
        try:
            key = binascii.a2b_base64(text.strip().removeprefix("whsec_"), strict_mode=True)
        except ValueError:
            return None
        return key or None
    if form == "nfkd":
        text = unicodedata.normalize("NFKD", text)
    return text.encode("utf-8", "surrogateescape")  # reverses the decoding of os.environ
