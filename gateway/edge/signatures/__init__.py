"""Signature schemes: each verifies that a request comes from the courier that it names.

A scheme is prepared once per source. Invariants: ``verify`` never raises, whatever bytes a client
sends; secrets are compared in constant time; the client learns only whether the signature was right
(the reason goes to the log).
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
    """The scheme of a source, ready to verify with the source's live secrets."""
    return _SCHEMES[source.signature.scheme](source.signature, source.secrets)
