"""The EVALSHA command of accept, prepared per source except for the parts that differ per event.

The edge sends it for every event. Packing all of its 21 parts takes three times as long as filling
in the five that differ.
"""

from __future__ import annotations

from typing import NamedTuple

from scheduler.events import IncomingEvent
from scheduler.keys import Keys
from scheduler.resp_transport import Arg, pack
from scheduler.scripts import load


class Caps(NamedTuple):
    """When an event is refused: events and body bytes in the backlog, number of dead letters."""

    max_events: int
    max_bytes: int
    max_dead: int


class AcceptCommand:
    """accept for one source; ``lua/accept.lua`` lists its keys and arguments."""

    def __init__(
        self, keys: Keys, source: str, caps: Caps, quota_per_second: float, quota_burst: float
    ) -> None:
        self.script = load("accept")
        keys_of_source = (
            keys.ready("lookup", source),
            keys.turn("lookup"),
            keys.wake("lookup"),
            keys.dead,
            keys.quota(source),
        )
        key_count = 3 + len(keys_of_source)
        event_key, body_key = keys.event("").encode(), keys.body("").encode()  # without the id
        self._event_key_bytes, self._body_key_bytes = len(event_key), len(body_key)
        limits = (*caps, quota_per_second, quota_burst)
        part_count = 3 + key_count + 5 + len(limits)
        variable = b"$%d\r\n%b\r\n"
        self._template = b"".join(
            (
                _escaped(b"*%d\r\n" % part_count),
                _fixed("EVALSHA", self.script.sha, key_count, keys.stats),
                b"$%d\r\n",
                _escaped(event_key),
                b"%b\r\n",
                b"$%d\r\n",
                _escaped(body_key),
                b"%b\r\n",
                _fixed(*keys_of_source),
                variable,
                _fixed(source),
                variable,
                variable,
                variable,
                _fixed(*limits),
            )
        )

    def packed(self, event: IncomingEvent) -> bytes:
        """The command in RESP2."""
        id, digest = event.id.encode(), event.digest.encode()
        secret_label, body = event.secret_label.encode(), event.body
        id_bytes = len(id)
        return self._template % (
            self._event_key_bytes + id_bytes,
            id,
            self._body_key_bytes + id_bytes,
            id,
            id_bytes,
            id,
            len(body),
            body,
            len(digest),
            digest,
            len(secret_label),
            secret_label,
        )


def _fixed(*parts: Arg) -> bytes:
    """Parts of a command, without the line that counts them."""
    return _escaped(pack(parts).split(b"\r\n", 1)[1])


def _escaped(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")
