"""The prepared accept command equals the packed command byte for byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scheduler.accept_command import AcceptCommand, Caps
from scheduler.events import IncomingEvent
from scheduler.keys import Keys
from scheduler.resp_transport import Arg, pack
from scheduler.scripts import load

TEXTS = st.text(min_size=1) | st.sampled_from(["%", "%%b", "%d", "bench:évt", "\r\n$1\r\n"])
ENCODABLE = TEXTS.filter(lambda text: text.isprintable() or text.isascii())


@given(
    source=ENCODABLE,
    id=ENCODABLE,
    digest=ENCODABLE,
    secret=ENCODABLE,
    body=st.binary() | st.sampled_from([b"%b", b"$3\r\n", b"x" * 100_000]),
    caps=st.builds(Caps, *[st.integers(0, 10**13)] * 3),
    quota=st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)),
)
def test_it_equals_the_packed_parts(
    source: str,
    id: str,
    digest: str,
    secret: str,
    body: bytes,
    caps: Caps,
    quota: tuple[float, float],
) -> None:
    keys, script = Keys(), load("accept")
    names = [
        keys.stats,
        keys.event(id),
        keys.body(id),
        keys.ready("lookup", source),
        keys.turn("lookup"),
        keys.wake("lookup"),
        keys.dead,
        keys.quota(source),
    ]
    parts: tuple[Arg, ...] = (
        "EVALSHA",
        script.sha,
        len(names),
        *names,
        id,
        source,
        body,
        digest,
        secret,
        *caps,
        *quota,
    )
    command = AcceptCommand(keys, source, caps, *quota)
    assert command.script is script
    assert command.packed(IncomingEvent(id, source, body, digest, secret, *quota)) == pack(parts)
