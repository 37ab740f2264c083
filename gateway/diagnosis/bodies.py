"""The usual ways in which a body is changed between signing and checking.

What was captured is written anew as a courier may have written it; if the signature fits one of
them, that one was signed and somebody re-serialised it on the way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

BOM = b"\xef\xbb\xbf"
LAYOUTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("compact JSON", {"separators": (",", ":")}),
    ("JSON with a space after each comma and colon", {"separators": (", ", ": ")}),
    ("JSON indented by two", {"indent": 2}),
    ("JSON indented by four", {"indent": 4}),
)


def variants(body: bytes) -> Iterator[tuple[str, bytes]]:
    """What may have been signed in place of ``body``, and what to call it; each once."""
    seen = {body}
    for what, other in _variants(body):
        if other not in seen:
            seen.add(other)
            yield what, other


def _variants(body: bytes) -> Iterator[tuple[str, bytes]]:
    yield "the same without the line break at its end", body.rstrip(b"\r\n")
    yield "the same with a line break at its end", body + b"\n"
    yield "the same without white space around it", body.strip()
    yield "the same without the byte order mark at its start", body.removeprefix(BOM)
    yield "the same with a byte order mark at its start", BOM + body
    yield "the same with LF in place of CRLF", body.replace(b"\r\n", b"\n")
    yield "the same with CRLF in place of LF", body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    yield "an empty body", b""
    try:
        document = json.loads(body.decode("utf-8-sig"))
        yield from _json(document)
    except (ValueError, RecursionError):  # no JSON: nothing to write anew
        return


def _json(document: Any) -> Iterator[tuple[str, bytes]]:
    for layout, options in LAYOUTS:
        for order, by_key in (("", False), (", keys sorted", True)):
            for escaping, ascii_only in (
                (", non-ASCII as it is", False),
                (", non-ASCII escaped", True),
            ):
                text = json.dumps(document, sort_keys=by_key, ensure_ascii=ascii_only, **options)
                # Where there is nothing to escape, both are one, and the name says less.
                name = layout + order + ("" if text.isascii() and not ascii_only else escaping)
                data = text.encode("utf-8", "surrogatepass")
                yield f"the same as {name}", data
                yield f"the same as {name}, with a line break at its end", data + b"\n"
                if "/" in text:
                    slashes = data.replace(b"/", b"\\/")
                    yield f"the same as {name}, slashes escaped", slashes
