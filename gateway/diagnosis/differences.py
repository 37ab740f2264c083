"""What differs between how a request was signed and how its source's table says it should be.

One sentence a difference: what was found, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from conf.sources.model import Signature
from gateway.diagnosis.macs import shown
from gateway.diagnosis.search import BODY, ID_TIME_BODY, TIME_BODY, Match

SIGNED = {
    BODY: "over the body alone",
    TIME_BODY: "over time and body",
    ID_TIME_BODY: "over id, time and body",
}
GENERAL = {TIME_BODY: "stripe", ID_TIME_BODY: "standard-webhooks"}  # the presets without a name
ENCODINGS = {TIME_BODY: "hex", ID_TIME_BODY: "base64"}
PREFIXES = {TIME_BODY: "v1=", ID_TIME_BODY: "v1,"}


def differences(match: Match, signature: Signature, presets: Mapping[str, Signature]) -> list[str]:
    """None where the match is what the table asks for."""
    return [
        *_key_and_body(match),
        *_scheme(match, signature, presets),
        *(_writing(match, signature) if match.scheme == signature.scheme else ()),
    ]


def _key_and_body(match: Match) -> Iterator[str]:
    if match.key.fault:
        yield match.key.fault
    if match.body:
        whose = "the right key" if not match.key.fault else "that key"
        yield (
            f"{whose} ({match.key.label}) signed {match.body}, and not the bytes that were "
            "captured: something between the courier and this capture has written the body "
            "anew (a proxy, a framework, or the capture itself). The signature is over the raw "
            "bytes, which must arrive as they were sent"
        )
    if match.written.algorithm != "sha256":
        yield (
            f"it is an HMAC-{match.written.algorithm.upper()}, and only SHA-256 is accepted: "
            "ask the courier for it; some send it in another header beside"
        )


def _scheme(match: Match, signature: Signature, presets: Mapping[str, Signature]) -> Iterator[str]:
    header = match.written.header
    same = [
        name
        for name, preset in presets.items()
        if preset.scheme == match.scheme and preset.header.lower() == header.lower()
    ]
    like = f", as preset {' or '.join(same)} does" if same else ""
    if match.scheme != signature.scheme:
        do = f'set preset = "{same[0]}"' if same else f'set scheme = "{match.scheme}"'
        if not same and match.scheme in GENERAL:
            do = f'set preset = "{GENERAL[match.scheme]}" and signature_header = "{header}"'
        yield (
            f"wrong scheme: it is signed {SIGNED[match.scheme]} in {header}{like}, and this "
            f'source expects scheme "{signature.scheme}" '
            f"({SIGNED.get(signature.scheme, 'a fixed token')} in {signature.header}): {do}"
        )
    elif header.lower() != signature.header.lower():
        yield (
            f"the signature is in the header {header}{like}, and this source looks in "
            f'{signature.header}: set signature_header = "{header}"'
            + (f' or preset = "{same[0]}"' if same else "")
        )


def _writing(match: Match, signature: Signature) -> Iterator[str]:
    written = match.written
    encoding = ENCODINGS.get(signature.scheme, signature.encoding)
    if written.encoding != encoding and not (
        encoding == "either" and written.encoding in ("hex", "base64")
    ):
        do = (
            f': set encoding = "{written.encoding}"'
            if signature.scheme == BODY and written.encoding in ("hex", "base64")
            else ", which no setting here reads: ask the courier for another"
        )
        yield (
            f"wrong encoding: the signature is written in {written.encoding}, and this source "
            f"expects {encoding}{do}"
        )
    prefix = PREFIXES.get(signature.scheme, signature.prefix)
    if written.entries > 1 and signature.scheme == BODY:
        yield (
            f"the header holds {written.entries} signatures: it was signed or sent twice (two "
            "proxies that both add it, say), and only one is allowed"
        )
    elif written.prefix != prefix:
        there = f"{shown(written.prefix)} stands" if written.prefix else "nothing stands"
        wanted = f'"{prefix}"' if prefix else "nothing"
        do = (
            f'; set prefix = "{written.prefix}"'
            if (signature.scheme == BODY and shown(written.prefix).startswith('"'))
            else ""
        )
        yield f"wrong prefix: {there} before the signature, and this source expects {wanted}{do}"
