"""Finds which key signed which content, and how that differs from the source's table.

The search compares each MAC in the request with what each candidate key makes of each content that
a signature scheme covers (body; time and body; id, time and body), for each variant of the body.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from conf.sources.model import Signature
from gateway.diagnosis.candidates import CandidateKey, FoundMac, body_variants, prefix_for_display
from gateway.diagnosis.captured_request import Captured

# The schemes that sign with a MAC: see gateway/edge/signatures.
BODY, TIME_BODY, ID_TIME_BODY = "body-hmac", "stripe", "standard-webhooks"

SIGNED_CONTENT = {
    BODY: "over the body alone",
    TIME_BODY: "over time and body",
    ID_TIME_BODY: "over id, time and body",
}
# Where the scheme fixes what ``body-hmac`` leaves to the source's table.
GENERIC_PRESETS = {TIME_BODY: "stripe", ID_TIME_BODY: "standard-webhooks"}
ENCODINGS = {TIME_BODY: "hex", ID_TIME_BODY: "base64"}
PREFIXES = {TIME_BODY: "v1=", ID_TIME_BODY: "v1,"}


@dataclass(frozen=True, slots=True)
class Match:
    """One key that made one MAC.

    scheme: the one that signs this kind of content.
    body: how the signed body differs from the captured one; empty if it does not.
    """

    key: CandidateKey
    mac: FoundMac
    scheme: str
    body: str = ""


def search(
    captured: Captured,
    keys: Iterable[CandidateKey],
    macs: Iterable[FoundMac],
    signatures: Iterable[Signature],
) -> list[Match]:
    """All matches. signatures: the schemes whose id and time headers are looked for."""
    by_mac: dict[bytes, list[FoundMac]] = {}
    for found in macs:
        by_mac.setdefault(found.mac, []).append(found)
    algorithms = {found.algorithm for several in by_mac.values() for found in several}
    contents = list(_contents(captured, list(signatures)))
    return [
        Match(key, found, scheme, description)
        for description, body in [("", captured.body), *body_variants(captured.body)]
        for scheme, prefix in contents
        for key in keys
        for algorithm in algorithms
        for found in by_mac.get(hmac.digest(key.key, prefix + body, algorithm), ())
    ]


def _contents(captured: Captured, signatures: list[Signature]) -> Iterator[tuple[str, bytes]]:
    """Schemes, and the bytes that each signs before the body."""
    yield BODY, b""
    times = list(dict.fromkeys(signed_times(captured, signatures)))
    for time in times:
        yield TIME_BODY, f"{time}.".encode("latin-1", "replace")
    for id_header in dict.fromkeys(s.id_header.lower() for s in signatures if s.id_header):
        id = captured.header(id_header)
        for time in times if id else ():
            yield ID_TIME_BODY, f"{id}.{time}.".encode("latin-1", "replace")


def signed_times(captured: Captured, signatures: Iterable[Signature]) -> Iterator[str]:
    """Texts that may be the signed time: timestamp headers, and ``t=…`` in any other header."""
    for name in dict.fromkeys(s.timestamp_header.lower() for s in signatures):
        if name and (text := captured.header(name)):
            yield text
    for _, value in captured.headers:
        for entry in value.split(","):
            key, equals, text = entry.strip().partition("=")
            if key == "t" and equals:
                yield text


# ---- differences, one sentence each: what was found and what to do


def differences(match: Match, signature: Signature, presets: Mapping[str, Signature]) -> list[str]:
    """How the match differs from what the source's table asks for; empty if it does not."""
    return [
        *_key_and_body(match),
        *_scheme(match, signature, presets),
        *(_notation(match.mac, signature) if match.scheme == signature.scheme else ()),
    ]


def _key_and_body(match: Match) -> Iterator[str]:
    if match.key.fault:
        yield match.key.fault
    if match.body:
        which = "that key" if match.key.fault else "the right key"
        yield (
            f"{which} ({match.key.label}) signed {match.body}, and not the bytes that were "
            "captured: something between the courier and this capture has changed the body (a "
            "proxy, a framework, or the capture itself). The signature covers the raw bytes, "
            "which must arrive exactly as they were sent"
        )
    if match.mac.algorithm != "sha256":
        yield (
            f"it is an HMAC-{match.mac.algorithm.upper()}, and only SHA-256 is accepted: ask the "
            "courier for it; some send it in an additional header"
        )


def _scheme(match: Match, signature: Signature, presets: Mapping[str, Signature]) -> Iterator[str]:
    header = match.mac.header
    same = [
        name
        for name, preset in presets.items()
        if preset.scheme == match.scheme and preset.header.lower() == header.lower()
    ]
    like = f", as preset {' or '.join(same)} does" if same else ""
    if match.scheme != signature.scheme:
        if same:
            remedy = f'set preset = "{same[0]}"'
        elif match.scheme in GENERIC_PRESETS:
            generic = GENERIC_PRESETS[match.scheme]
            remedy = f'set preset = "{generic}" and signature_header = "{header}"'
        else:
            remedy = f'set scheme = "{match.scheme}"'
        yield (
            f"wrong scheme: it is signed {SIGNED_CONTENT[match.scheme]} in {header}{like}, and "
            f'this source expects scheme "{signature.scheme}" '
            f"({SIGNED_CONTENT.get(signature.scheme, 'a fixed token')} in {signature.header}): "
            f"{remedy}"
        )
    elif header.lower() != signature.header.lower():
        yield (
            f"the signature is in the header {header}{like}, and this source reads "
            f'{signature.header}: set signature_header = "{header}"'
            + (f' or preset = "{same[0]}"' if same else "")
        )


def _notation(mac: FoundMac, signature: Signature) -> Iterator[str]:
    """Encoding, number of signatures and prefix."""
    configurable = signature.scheme == BODY
    encoding = ENCODINGS.get(signature.scheme, signature.encoding)
    allowed = ("hex", "base64") if encoding == "either" else (encoding,)
    if mac.encoding not in allowed:
        remedy = (
            f': set encoding = "{mac.encoding}"'
            if configurable and mac.encoding in ("hex", "base64")
            else ", which no setting supports: ask the courier for another"
        )
        yield (
            f"wrong encoding: the signature is written in {mac.encoding}, and this source "
            f"expects {encoding}{remedy}"
        )
    prefix = PREFIXES.get(signature.scheme, signature.prefix)
    if mac.entries > 1 and configurable:
        yield (
            f"the header contains {mac.entries} signatures: it was signed or sent twice (by two "
            "proxies, for example), and only one is allowed"
        )
    elif mac.prefix != prefix:
        display = prefix_for_display(mac.prefix)
        remedy = (
            f'; set prefix = "{mac.prefix}"' if configurable and display.startswith('"') else ""
        )
        yield f"wrong prefix: {_before('the signature', display if mac.prefix else '', prefix)}" + (
            remedy
        )


def _before(what: str, found: str, expected: str) -> str:
    expected = f'"{expected}"' if expected else "nothing"
    return f"{found or 'nothing'} precedes {what}, and this source expects {expected}"


# ---- tokens: secrets sent as they are, right only for a source whose scheme is "token"


def token_problems(
    signature: Signature, captured: Captured, keys: Sequence[CandidateKey]
) -> list[str]:
    """Sentences about the first header that contains one of the keys; empty if none does."""
    for name, value in captured.headers:
        for prefix, text in _token_readings(value, signature.prefix):
            for key in keys:
                if hmac.compare_digest(text.encode("latin-1", "replace"), key.key):
                    return list(_token_faults(signature, name, prefix, key))
    return []


def _token_readings(value: str, configured: str) -> Iterator[tuple[str, str]]:
    """Prefix and token, for each way to read the header's value."""
    if configured and value.startswith(configured):
        yield configured, value[len(configured) :]
    yield "", value
    word, space, rest = value.partition(" ")
    if space:
        yield word + space, rest.strip()


def _token_faults(signature: Signature, name: str, prefix: str, key: CandidateKey) -> Iterator[str]:
    if signature.scheme != "token":
        yield (
            f"the header {name} contains the secret {key.label} itself: the courier sends it as a "
            "fixed token and signs nothing. Ask it to sign; the secret is now in this capture, so "
            "replace it"
        )
        return
    if key.fault:
        yield key.fault.replace("signed with", "sent with").replace("signs with", "sends")
    if name.lower() != signature.header.lower():
        yield (
            f"the token is in the header {name}, and this source reads {signature.header}: "
            f'set signature_header = "{name}"'
        )
    if prefix != signature.prefix:
        found = "a word and a space" if prefix else ""
        yield f"wrong prefix: {_before('the token', found, signature.prefix)}"
