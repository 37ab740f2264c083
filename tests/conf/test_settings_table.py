"""docs/settings.md lists the settings as conf/settings.py defines them."""

from __future__ import annotations

from conf.settings_table import DOCUMENT, with_table


def test_the_documented_table_of_settings_matches_the_settings_module() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert text == with_table(text), "run: python -m conf.settings_table"
