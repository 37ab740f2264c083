"""Signature schemes: does this request come from the courier it claims to come from?

A scheme is prepared once per source and then only asked. Invariants: it never raises, whatever
bytes a caller sends; secrets are compared in constant time; the caller of the edge learns nothing
but yes or no (the reason is for the operator's log).
"""

from __future__ import annotations

from conf.sources.model import Source
from gateway.edge.signatures.body_hmac import BodyHmac
from gateway.edge.signatures.standard_webhooks import StandardWebhooks
from gateway.edge.signatures.stripe import Stripe
from gateway.edge.signatures.token_only import TokenOnly
from gateway.edge.signatures.verification import Reason, Scheme, Verification

__all__ = ["Reason", "Scheme", "Verification", "prepare"]

_SCHEMES: dict[str, type[BodyHmac | StandardWebhooks | Stripe | TokenOnly]] = {
    "body-hmac": BodyHmac,
    "standard-webhooks": StandardWebhooks,
    "stripe": Stripe,
    "token": TokenOnly,
}


def prepare(source: Source) -> Scheme:
    """The scheme of a source with its keys in place."""
    return _SCHEMES[source.signature.scheme](source.signature, source.secrets)
