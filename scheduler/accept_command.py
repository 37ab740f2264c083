"""The command of the verb accept, ready but for what differs between the events of a source.

The edge sends it for every event, and it has 21 parts: to pack them all anew costs three times as
much as to fill in five.
"""

from __future__ import annotations

from typing import NamedTuple

from scheduler.keys import Keys
from scheduler.resp_transport import Arg, pack
from scheduler.scripts import load


class Caps(NamedTuple):
    """The admission caps: events and body bytes in the backlog, events among the dead letters."""

    max_events: int
    max_bytes: int
    max_dead: int


class AcceptCommand:
    """accept for one source; see ``lua/accept.lua`` for its keys and arguments."""

    def __init__(
        self, keys: Keys, source: str, caps: Caps, quota_per_second: float, quota_burst: float
    ) -> None:
        self.script = load("accept")
        fixed_keys = (
            keys.ready("lookup", source),
            keys.turn("lookup"),
            keys.wake("lookup"),
            keys.stats,
            keys.dead,
            keys.quota(source),
        )
        known = 2 + len(fixed_keys)
        event, body = keys.event("").encode(), keys.body("").encode()
        self._event, self._body = len(event), len(body)  # of the key without the id
        limits = (*caps, quota_per_second, quota_burst)
        parts = 3 + known + 5 + len(limits)
        given = b"$%d\r\n%b\r\n"
        self._form = b"".join(
            (
                _literally(b"*%d\r\n" % parts),
                _strings("EVALSHA", self.script.sha, known),
                b"$%d\r\n",
                _literally(event),
                b"%b\r\n",
                b"$%d\r\n",
                _literally(body),
                b"%b\r\n",
                _strings(*fixed_keys),
                given,
                _strings(source),
                given,
                given,
                given,
                _strings(*limits),
            )
        )

    def packed(self, id: str, body: bytes, digest: str, secret: str) -> bytes:
        """The bytes to send."""
        name, told, label = id.encode(), digest.encode(), secret.encode()
        size = len(name)
        return self._form % (
            self._event + size,
            name,
            self._body + size,
            name,
            size,
            name,
            len(body),
            body,
            len(told),
            told,
            len(label),
            label,
        )


def _strings(*parts: Arg) -> bytes:
    """Parts of a command, without the line that counts them."""
    return _literally(pack(parts).split(b"\r\n", 1)[1])


def _literally(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")
