"""JSON Pointers (RFC 6901): how a source's table names a field of its payload.

A pointer is parsed once, at start; resolving one in a parsed body never raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

MISSING: Final = object()  # what a pointer that leads nowhere resolves to; null is a value

_STRAY_TILDE = re.compile("~(?![01])")
_INDEX = re.compile("0|[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Pointer:
    """A parsed pointer. tokens: the unescaped steps; none of them for the whole document."""

    text: str
    tokens: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Pointer:
        """Raises ``ValueError`` for what is no pointer."""
        if text and not text.startswith("/"):
            raise ValueError("a JSON Pointer starts with /")
        if _STRAY_TILDE.search(text):
            raise ValueError("in a JSON Pointer ~ is written ~0, and a / within a name ~1")
        tokens = (token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:])
        return cls(text, tuple(tokens))

    def resolve(self, document: Any) -> Any:
        """The value in a parsed document, or ``MISSING``."""
        value = document
        for token in self.tokens:
            if isinstance(value, dict):
                value = value.get(token, MISSING)
            elif isinstance(value, list) and _INDEX.fullmatch(token):
                index = int(token)
                value = value[index] if index < len(value) else MISSING
            else:
                return MISSING
        return value
