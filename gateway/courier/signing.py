"""Signs payloads as couriers do, for ``python -m gateway send``, the demo and the load tests.

The edge itself only verifies. Tests of the schemes use independent signers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from conf.sources.model import Source


def sign(source: Source, event_id: str, body: bytes, now: float) -> dict[str, str]:
    """The headers with which ``source`` would send ``body``, signed with its first live secret.

    event_id: for the id header, if the source has one. now: seconds since 1970. Raises
    ``ValueError`` for a source without a secret.
    """
    if not source.secrets:
        raise ValueError(f"source {source.name} is off: none of its secrets is set")
    s, key = source.signature, source.secrets[0].key
    at = str(int(now))
    match s.scheme:
        case "standard-webhooks":
            mac = _mac(key, f"{event_id}.{at}.".encode() + body)
            return {
                s.id_header: event_id,
                s.timestamp_header: at,
                s.header: "v1," + base64.b64encode(mac).decode(),
            }
        case "stripe":
            return {s.header: f"t={at},v1={_mac(key, f'{at}.'.encode() + body).hex()}"}
        case "token":
            return {s.header: s.prefix + key.decode("latin-1")}
        case _:
            mac = _mac(key, body)
            text = base64.b64encode(mac).decode() if s.encoding == "base64" else mac.hex()
            ids = {s.id_header: event_id} if s.id_header else {}
            return {**ids, s.header: s.prefix + text}


def _mac(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, content, hashlib.sha256).digest()
