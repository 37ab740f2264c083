"""What may have made the signature of a captured request: keys, MACs and bodies.

The search tries every key on every body and compares the result with every MAC found.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from conf.sources.model import Source
from conf.sources.secrets import key_of
from gateway.diagnosis.captured_request import Captured

# ---- keys


@dataclass(frozen=True, slots=True)
class CandidateKey:
    """fault: why the edge does not accept this key and what to do; empty for a live key."""

    key: bytes = field(repr=False)
    label: str
    fault: str = ""


def candidate_keys(
    source: Source,
    tables: Mapping[str, Mapping[str, Any]],
    environ: Mapping[str, str],
    tried: list[str],
) -> list[CandidateKey]:
    """Keys that may have signed for ``source``, the most likely first, each key once.

    tables: every source's table with its preset applied. tried: further environment variables.
    """
    found = {secret.key: CandidateKey(secret.key, secret.label) for secret in source.secrets}
    for key in _keys_not_live(source.name, tables, environ, tried):
        if key.key:
            found.setdefault(key.key, key)
    return list(found.values())


def _keys_not_live(
    name: str, tables: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str], tried: list[str]
) -> Iterator[CandidateKey]:
    def is_set(variable: str) -> bool:
        return bool(environ.get(variable, "").strip())

    table = tables[name]
    variables: list[str] = table["secrets_env"]
    form: str = table.get("secret_format", "text")
    for variable in filter(is_set, variables):
        yield from _misreadings(environ[variable], form, variable)
    yield from _as_configured(
        table.get("demo_secret", ""),
        form,
        "the published demo secret",
        "the request is signed with the published demo secret, which is not live here: the "
        "courier must use the secret agreed with it",
    )
    # ACME_SECRET_2024 is taken for an old value of ACME_SECRET.
    derived = sorted(v for v in environ if any(v.startswith(f"{known}_") for known in variables))
    for variable in filter(is_set, (v for v in (*tried, *derived) if v not in variables)):
        yield from _every_reading(
            environ[variable],
            form,
            variable,
            f"the request is signed with {variable}, which is not live (not in secrets_env): a "
            "retired key; the courier must switch to the live one, or add the variable to "
            "secrets_env until it has",
        )
    for other, its in tables.items():
        for variable in filter(is_set, its["secrets_env"] if other != name else ()):
            yield from _every_reading(
                environ[variable],
                its.get("secret_format", "text"),
                variable,
                f"the request is signed with {variable}, the secret of source {other}: the "
                "courier posts to the wrong address, or two secrets are mixed up",
            )


def _as_configured(text: str, form: str, label: str, fault: str) -> Iterator[CandidateKey]:
    key = key_of(text, form) if text else None
    if key is not None:
        yield CandidateKey(key, label, fault)


def _every_reading(text: str, form: str, label: str, fault: str) -> Iterator[CandidateKey]:
    yield from _as_configured(text, form, label, fault)
    for key in _misreadings(text, form, label):
        yield CandidateKey(key.key, label, f"{fault} ({key.fault})")


def _misreadings(text: str, form: str, variable: str) -> Iterator[CandidateKey]:
    """Keys that a courier derives from the same secret when it reads it in another way."""
    bare = text.strip()
    for other, how in (
        (bare, "without the white space around it: remove it from the variable"),
        (bare.strip("\"'"), "without the quotes around it: remove them from the variable"),
        (text + "\n", "with a line break at its end: the courier must remove it"),
    ):
        if other != text:
            yield from _as_configured(
                other, form, variable, f"the courier signs with {variable} {how}"
            )
    for other_form, how in (
        ("whsec", "decodes the base64 of {} (after whsec_, if present)"),
        ("text", "signs with the text of {} as it is, without decoding or normalising it"),
        ("nfkd", "normalises {} (NFKD)"),
    ):
        if other_form != form:
            yield from _as_configured(
                bare,
                other_form,
                variable,
                f"the courier {how.format(variable)}: "
                f'set secret_format = "{other_form}" (now "{form}")',
            )


# ---- MACs

# Length in bytes -> algorithm. Only SHA-256 is accepted; the others are recognised to be named.
ALGORITHMS = {32: "sha256", 20: "sha1", 64: "sha512"}

# Words of a prefix that may be printed; any other word might be part of a token.
_KNOWN_WORD = re.compile(
    "sha(1|256|512)|hmac(-sha256(-hex)?)?|v0|v1a?|v2|t|s|sig|signature|bearer|token", re.IGNORECASE
)
_PREFIX = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]{0,19}(?:[=:,] ?| ))*")  # sha256=, v1=, "v1, "
_WORD = re.compile("[A-Za-z0-9-]+")
_SPLIT = re.compile(r"[ ,;]+")
_HEX = re.compile("[0-9A-Fa-f]+")
_BASE64 = re.compile("[A-Za-z0-9+/]+={0,2}")
_BASE64URL = re.compile("[A-Za-z0-9_-]+={0,2}")


@dataclass(frozen=True, slots=True)
class FoundMac:
    """A MAC and how the header writes it.

    encoding: "hex", "base64", or a description of another. entries: MACs in that header.
    """

    mac: bytes = field(repr=False)
    header: str
    prefix: str
    encoding: str
    entries: int = 1

    @property
    def algorithm(self) -> str:
        return ALGORITHMS[len(self.mac)]


def find_macs(captured: Captured) -> list[FoundMac]:
    """Everything in the headers that may be a MAC, in whatever encoding."""
    names: dict[str, str] = {}
    for name, _ in captured.headers:
        names.setdefault(name.lower(), name)
    return [mac for name in names.values() for mac in _in_header(name, captured.header(name) or "")]


def prefix_for_display(prefix: str) -> str:
    """The prefix in quotes if it consists of known words; otherwise a text that hides it."""
    known = all(_KNOWN_WORD.fullmatch(word) for word in _WORD.findall(prefix))
    return f'"{prefix}"' if known else "something else (not shown)"


def _in_header(name: str, value: str) -> Iterator[FoundMac]:
    entries = [entry for entry in _SPLIT.split(value) if entry]
    count = sum(any(True for _ in _decoded(_split_prefix(entry)[1])) for entry in entries)
    seen: set[bytes] = set()
    # The longest text first: a prefix may itself contain a comma or a space (v1,<base64>).
    for text in (value.strip(), *value.split(" "), *entries):
        prefix, rest = _split_prefix(text)
        for encoding, mac in _decoded(rest):
            if mac not in seen:
                seen.add(mac)
                yield FoundMac(mac, name, prefix, encoding, max(1, count))


def _split_prefix(text: str) -> tuple[str, str]:
    found = _PREFIX.match(text)
    end = found.end() if found else 0
    return text[:end], text[end:]


def _decoded(text: str) -> Iterator[tuple[str, bytes]]:
    """Encoding and bytes, for each encoding in which the text has the length of a MAC."""
    unpadded = " without its padding" if len(text) % 4 else ""
    for encoding, shape, decode in (
        ("hex", _HEX, binascii.unhexlify),
        (f"base64{unpadded}", _BASE64, _from_base64),
        ("base64url", _BASE64URL, _from_base64),
        ("base64 of the hex text", _BASE64, lambda t: binascii.unhexlify(_from_base64(t))),
    ):
        if shape.fullmatch(text):
            try:
                mac = decode(text)
            except ValueError:
                continue
            if len(mac) in ALGORITHMS:
                yield encoding, mac


def _from_base64(text: str) -> bytes:
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(bare + "=" * (-len(bare) % 4))


# ---- bodies

BOM = b"\xef\xbb\xbf"
_LAYOUTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("compact JSON", {"separators": (",", ":")}),
    ("JSON with a space after each comma and colon", {"separators": (", ", ": ")}),
    ("JSON indented by two", {"indent": 2}),
    ("JSON indented by four", {"indent": 4}),
)


def body_variants(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Bodies that may have been signed instead of ``body``, each once, with a description.

    Proxies and frameworks serialise JSON again, and editors add line breaks; a variant that fits
    the signature shows which change happened after signing.
    """
    seen = {body}
    for description, variant in (*_edited(body), *_serialised_again(body)):
        if variant not in seen:
            seen.add(variant)
            yield description, variant


def _edited(body: bytes) -> Iterator[tuple[str, bytes]]:
    yield "the same without the line break at its end", body.rstrip(b"\r\n")
    yield "the same with a line break at its end", body + b"\n"
    yield "the same without white space around it", body.strip()
    yield "the same without the byte order mark at its start", body.removeprefix(BOM)
    yield "the same with a byte order mark at its start", BOM + body
    yield "the same with LF in place of CRLF", body.replace(b"\r\n", b"\n")
    yield "the same with CRLF in place of LF", body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    yield "an empty body", b""


def _serialised_again(body: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        document = json.loads(body.decode("utf-8-sig"))
        for layout, options in _LAYOUTS:
            for by_key, order in ((False, ""), (True, ", keys sorted")):
                for ascii_only, escaping in ((False, "as it is"), (True, "escaped")):
                    text = json.dumps(
                        document, sort_keys=by_key, ensure_ascii=ascii_only, **options
                    )
                    name = f"the same as {layout}{order}"
                    # A pure ASCII text is the same either way: leave the escaping out of its name.
                    if ascii_only or not text.isascii():
                        name += f", non-ASCII {escaping}"
                    data = text.encode("utf-8", "surrogatepass")
                    yield name, data
                    yield f"{name}, with a line break at its end", data + b"\n"
                    if "/" in text:
                        yield f"{name}, slashes escaped", data.replace(b"/", b"\\/")
    except (ValueError, RecursionError):  # not JSON, or too deep
        return
