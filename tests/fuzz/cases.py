"""Generates the requests. A case depends only on its seed and number, so it can be repeated.

Most cases start from a valid signed event. Then the body is changed before it is signed, or lines
are added to the head, or bytes are changed after signing.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz.dictionary import BODIES, ID_VALUES, LINES, REQUEST_LINES, TOKENS
from tests.support.edge import bench_headers, event, standard_headers

SOURCES = ("bench", "standard", "nameless")


@dataclass(frozen=True)
class Case:
    """pieces: sent one after the other, on one connection. valid: an event as a courier sends it,
    which the edge must accept."""

    number: int
    kind: str
    pieces: tuple[bytes, ...]
    valid: bool = False

    @property
    def sent(self) -> bytes:
        return b"".join(self.pieces)


def make(seed: int, number: int) -> Case:
    """The case with that number."""
    rng = random.Random(f"{seed}/{number}")
    kind = rng.choices(tuple(KINDS), tuple(weight for weight, _ in KINDS.values()))[0]
    sent = KINDS[kind][1](rng, f"evt_{number}")
    return Case(number, kind, _pieces(rng, sent), kind in ("valid", "repeated"))


def _pieces(rng: random.Random, sent: bytes) -> tuple[bytes, ...]:
    if rng.random() < 0.85:
        return (sent,)
    cuts = sorted(rng.randrange(len(sent) + 1) for _ in range(rng.randrange(1, 4)))
    return tuple(sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True))


def _head(rng: random.Random, source: str, body: bytes, id: str) -> list[bytes]:
    """The lines of a valid request, in random order and letter case."""
    signed = standard_headers(body, id) if source == "standard" else bench_headers(body)
    lines = [f"{_cased(rng, name)}: {text}" for name, text in signed.items()]
    lines += [f"Content-Length: {len(body)}", "Host: gateway.example"]
    lines += rng.choices(("Accept: */*", "User-Agent: courier/1", "X-Retry: 0"), k=rng.randrange(3))
    rng.shuffle(lines)
    return [f"POST /v1/events/{source} HTTP/1.1".encode(), *(line.encode() for line in lines)]


def _cased(rng: random.Random, name: str) -> str:
    return rng.choice((str.lower, str.upper, str))(name)


def _request(rng: random.Random, body: bytes, id: str, source: str | None = None) -> bytes:
    return _joined(_head(rng, source or rng.choice(SOURCES), body, id), body)


def _joined(lines: list[bytes], body: bytes) -> bytes:
    return b"\r\n".join([*lines, b"", b""]) + body


def _valid(rng: random.Random, id: str) -> bytes:
    return _request(rng, event(id), id)


def _repeated(rng: random.Random, id: str) -> bytes:
    """One of a few events that are sent many times."""
    id = f"evt_again_{rng.randrange(50)}"
    return _request(rng, event(id), id)


def _odd_body(rng: random.Random, id: str) -> bytes:
    """A valid signature over an odd body."""
    body = rng.choice(BODIES).replace(b"ID", id.encode())
    if rng.random() < 0.3:
        body = _changed(rng, body)
    return _request(rng, body, id)


def _odd_id(rng: random.Random, id: str) -> bytes:
    value = rng.choice(ID_VALUES)
    if isinstance(value, str):
        value = value.replace("ID", id)
    body = json.dumps({"id": value, "status": "in_transit"}, ensure_ascii=rng.random() < 0.5)
    return _request(rng, body.encode("utf-8", "surrogatepass"), id, "bench")


def _odd_lines(rng: random.Random, id: str) -> bytes:
    body = event(id)
    lines = _head(rng, rng.choice(SOURCES), body, id)
    for _ in range(rng.randrange(1, 4)):
        lines.insert(rng.randrange(1, len(lines) + 1), rng.choice(LINES))
    return _joined(lines, body)


def _odd_request_line(rng: random.Random, id: str) -> bytes:
    body = event(id)
    return _joined([rng.choice(REQUEST_LINES), *_head(rng, "bench", body, id)[1:]], body)


def _changed_bytes(rng: random.Random, id: str) -> bytes:
    sent = _valid(rng, id)
    for _ in range(rng.randrange(1, 6)):
        sent = _changed(rng, sent)
    return sent


def _changed(rng: random.Random, data: bytes) -> bytes:
    """One random change: bytes replaced, inserted, removed or repeated, or a token inserted."""
    at = rng.randrange(len(data) + 1)
    until = min(len(data), at + rng.choice((1, 1, 2, 8, 40)))
    match rng.randrange(5):
        case 0:
            return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        case 1:
            return data[:at] + rng.randbytes(rng.choice((1, 1, 3, 20))) + data[at:]
        case 2:
            return data[:at] + data[until:]
        case 3:
            return data[:until] + data[at:]
        case _:
            return data[:at] + rng.choice(TOKENS) + data[at:]


def _cut_short(rng: random.Random, id: str) -> bytes:
    sent = _valid(rng, id)
    return sent[: rng.randrange(len(sent))]


def _chunked(rng: random.Random, id: str) -> bytes:
    """Without trailers, which are known to crash meinheld (docs/edge-http.md)."""
    body = event(id)
    lines = _head(rng, "bench", body, id)
    if rng.random() < 0.8:
        lines = [line for line in lines if not line.startswith(b"Content-Length")]
    lines.append(b"Transfer-Encoding: chunked")
    chunks = rng.choice((b"%x\r\n%b\r\n0\r\n\r\n", b"%X;a=b\r\n%b\r\n0\r\n\r\n", b"%x\r\n%b"))
    return _joined(lines, chunks % (len(body), body))


def _pipelined(rng: random.Random, id: str) -> bytes:
    return b"".join(_valid(rng, f"{id}_{n}") for n in range(rng.randrange(2, 4)))


KINDS: dict[str, tuple[int, Callable[[random.Random, str], bytes]]] = {
    "valid": (20, _valid),
    "repeated": (5, _repeated),
    "odd body": (15, _odd_body),
    "odd id": (10, _odd_id),
    "odd lines": (18, _odd_lines),
    "odd request line": (4, _odd_request_line),
    "changed bytes": (20, _changed_bytes),
    "cut short": (3, _cut_short),
    "chunked": (2, _chunked),
    "pipelined": (3, _pipelined),
}
