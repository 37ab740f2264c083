"""``python -m conf.settings_table`` writes the table of all settings into docs/settings.md."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from conf.settings import ROOT, Settings, variable

BEGIN, END = "<!-- settings: python -m conf.settings_table -->\n", "<!-- end of settings -->\n"
DOCUMENT = ROOT / "docs" / "settings.md"
# Defaults that depend on the machine, with the text that the table shows instead.
SHOWN_DEFAULTS = {"host_name": "the host's name"}


def table() -> str:
    """One row per setting: variable, default, unit, meaning and trade-off."""
    rows = ["| variable | default | unit | meaning and trade-off |", "|---|---|---|---|"]
    for setting in fields(Settings):
        default = SHOWN_DEFAULTS.get(setting.name) or _text(setting.default)
        rows.append(
            f"| `{variable(setting)}` | {default} | {setting.metadata['unit']} | "
            f"{setting.metadata['why']} |"
        )
    return "\n".join(rows) + "\n"


def _text(default: object) -> str:
    if isinstance(default, Path):
        return f"`{default.relative_to(ROOT)}`"
    if isinstance(default, int | float):
        return f"{default:,}" if default >= 10_000 else f"{default:g}"
    return f"`{default}`" if default else "(empty)"


def with_table(text: str) -> str:
    """The text with the table between its marks. Raises ``ValueError`` where they are missing."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT.name} lacks the marks of the settings table")
    return head + BEGIN + table() + END + tail


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text("utf-8")), "utf-8")
