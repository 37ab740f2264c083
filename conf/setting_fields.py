"""The kinds of settings: how a text from the environment is checked, and what a field documents.

A check returns the value, or raises ``ValueError`` with the allowed values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Check = Callable[[str], Any]


def number(kind: type, low: float, high: float) -> Check:
    noun = "a whole number" if kind is int else "a number"

    def check(text: str) -> Any:
        wanted = (
            f"{noun} from {low:.15g} to {high:.15g}"
            if high < 1e9
            else f"{noun} of {low:.15g} or more"
        )
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(wanted) from None
        if not low <= value <= high:  # a NaN fails this too
            raise ValueError(wanted)
        return value

    return check


def url(*schemes: str) -> Check:
    def check(text: str) -> str:
        wanted = "a URL such as " + " or ".join(f"{s}://host:port/…" for s in schemes)
        try:
            parts = urlsplit(text)
            _ = parts.port  # raises ``ValueError`` for a wrong port
        except ValueError:
            raise ValueError(wanted) from None
        if parts.scheme not in schemes or not (parts.netloc or parts.path):
            raise ValueError(wanted)
        return text

    return check


def address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("host:port, such as 0.0.0.0:8080")
    return text


def existing_file(root: Path) -> Check:
    """A relative path is resolved against ``root``."""

    def check(text: str) -> Path:
        path = root / text
        if not path.is_file():
            raise ValueError("the path of a file that exists")
        return path

    return check


def choice(*allowed: str) -> Check:
    def check(text: str) -> str:
        if text not in allowed:
            raise ValueError("one of " + ", ".join(allowed))
        return text

    return check


def token(text: str) -> str:
    if len(text) < 8 and text:
        raise ValueError("empty, or at least 8 characters")
    return text


def setting(default: Any, unit: str, why: str, check: Check) -> Any:
    """A field of ``Settings``. why: its meaning and trade-off, for the documents."""
    return field(default=default, metadata={"unit": unit, "why": why, "check": check})


def seconds(default: float, low: float, high: float, why: str) -> Any:
    return setting(default, "seconds", why, number(float, low, high))


def count(default: int, low: int, high: int, why: str, unit: str = "count") -> Any:
    return setting(default, unit, why, number(int, low, high))
