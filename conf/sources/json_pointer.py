"""JSON Pointers (RFC 6901), with which a source's table names the fields of its payload.

A pointer is parsed once, at start; ``resolve`` never raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

MISSING: Final = object()  # the result of a pointer to no value; null is a value

_STRAY_TILDE = re.compile("~(?![01])")
_INDEX = re.compile("0|[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Pointer:
    """A parsed pointer. tokens: its unescaped parts; none for the whole document."""

    text: str
    tokens: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Pointer:
        """Raises ``ValueError`` if the text is not a pointer."""
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
