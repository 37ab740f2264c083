"""Signature schemes: published vectors, all kinds of keys, and rejections that never raise.

The MACs of our own payloads were computed with ``openssl dgst -sha256 -hmac`` (-mac HMAC -macopt
hexkey: for the normalised secret), so that our code is not on both sides of a test.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.sources.model import Pointers, Secret, Signature, Source
from gateway.edge.signatures import Reason, Verification, keyring, prepare

STANDARD = Signature(
    "standard-webhooks",
    "webhook-signature",
    id_header="webhook-id",
    timestamp_header="webhook-timestamp",
    tolerance_seconds=300,
)
GITHUB = Signature("body-hmac", "X-Hub-Signature-256", prefix="sha256=")
STRIPE = Signature("stripe", "Shippo-Auth-Signature", tolerance_seconds=300)
TOKEN = Signature("token", "X-Token", prefix="Bearer ")

STANDARD_KEY = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
STANDARD_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
STANDARD_TIME = 1614265330
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_MAC = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

GITHUB_KEY = b"It's a Secret to Everybody"
GITHUB_MAC = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

STRIPE_MAC = "8ccd052c0621f4786cbaab583f9a9f638c77c518eaf4e1afaefe4f6963130388"
STRIPE_TIME = 1764000000


def verify(
    signature: Signature, headers: Mapping[str, str], body: bytes, now: float = 0, **keys: bytes
) -> Verification:
    """Verify with these keys, labelled by their names, and these headers."""
    secrets = tuple(Secret(label, key) for label, key in keys.items())
    environ = {"HTTP_" + name.upper().replace("-", "_"): text for name, text in headers.items()}
    source = Source("acme", signature, secrets, Pointers(), {})
    return prepare(source).verify(environ.get, body, now)


def standard(
    now: float = STANDARD_TIME, keys: Mapping[str, bytes] | None = None, **changes: str | None
) -> Verification:
    """Verify the published Standard Webhooks request with some headers changed (None: removed)."""
    headers = {
        "webhook-id": STANDARD_ID,
        "webhook-timestamp": str(STANDARD_TIME),
        "webhook-signature": "v1," + STANDARD_MAC,
    }
    changed = headers | {name.replace("_", "-"): text for name, text in changes.items()}
    present = {name: text for name, text in changed.items() if text is not None}
    return verify(STANDARD, present, STANDARD_BODY, now, **(keys or {"KEY": STANDARD_KEY}))


def test_the_published_standard_webhooks_vector_is_authentic_and_its_id_is_the_event_id() -> None:
    assert standard() == Verification(None, "KEY", STANDARD_ID)


def test_the_published_github_vector_is_authentic() -> None:
    verification = verify(
        GITHUB, {"X-Hub-Signature-256": GITHUB_MAC}, b"Hello, World!", KEY=GITHUB_KEY
    )
    assert verification == Verification(None, "KEY")


def test_a_mac_in_capital_letters_is_accepted() -> None:
    mac = "sha256=" + GITHUB_MAC.removeprefix("sha256=").upper()
    assert verify(GITHUB, {"X-Hub-Signature-256": mac}, b"Hello, World!", KEY=GITHUB_KEY).ok


@pytest.mark.parametrize("encoding", ["base64", "either"])
def test_a_base64_body_mac_is_authentic(encoding: str) -> None:
    signature = Signature("body-hmac", "X-Shopify-Hmac-SHA256", encoding=encoding)
    mac = "RONn5N6MsZk19zChN6jVNk9Z27WmPFOrwL2SiS4fuK4="
    assert verify(signature, {"X-Shopify-Hmac-SHA256": mac}, b'{"id":"evt_b"}', KEY=b"base-key").ok


def test_a_source_with_either_encoding_accepts_hex_too() -> None:
    signature = Signature("body-hmac", "fdx-signature", encoding="either")
    mac = "44e367e4de8cb19935f730a137a8d5364f59dbb5a63c53abc0bd92892e1fb8ae"
    assert verify(signature, {"fdx-signature": mac}, b'{"id":"evt_b"}', KEY=b"base-key").ok


def test_a_stripe_signature_is_authentic_among_older_and_unknown_entries() -> None:
    header = f"t={STRIPE_TIME},v1={'0' * 64}, v1={STRIPE_MAC},v0=anything"
    verification = verify(
        STRIPE, {"Shippo-Auth-Signature": header}, b'{"id":"evt_s"}', STRIPE_TIME, KEY=b"shippo-key"
    )
    assert verification == Verification(None, "KEY")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (f"v1={STRIPE_MAC}", Reason.TIMESTAMP_MISSING),
        (f"t={STRIPE_TIME},t=1,v1={STRIPE_MAC}", Reason.MALFORMED),
        (f"t={STRIPE_TIME},v1=", Reason.MALFORMED),
        (f"t={STRIPE_TIME}", Reason.MALFORMED),
        (f"t=+{STRIPE_TIME},v1={STRIPE_MAC}", Reason.TIMESTAMP_MALFORMED),
        (f"t={STRIPE_TIME + 1},v1={STRIPE_MAC}", Reason.MISMATCH),
        (f"t={STRIPE_TIME - 301},v1={STRIPE_MAC}", Reason.TIMESTAMP_OUTSIDE_TOLERANCE),
        ("=,=,,", Reason.TIMESTAMP_MISSING),
    ],
)
def test_a_malformed_stripe_header_is_rejected(header: str, reason: Reason) -> None:
    verification = verify(
        STRIPE, {"Shippo-Auth-Signature": header}, b'{"id":"evt_s"}', STRIPE_TIME, KEY=b"shippo-key"
    )
    assert verification.reason is reason


def test_a_changed_body_is_rejected() -> None:
    verification = verify(
        GITHUB, {"X-Hub-Signature-256": GITHUB_MAC}, b"Hello, World?", KEY=GITHUB_KEY
    )
    assert verification == Verification(Reason.MISMATCH)


def test_each_of_several_live_keys_is_accepted_and_named() -> None:
    headers = {"X-Hub-Signature-256": GITHUB_MAC}
    old, new = GITHUB_KEY, b"another"
    assert verify(GITHUB, headers, b"Hello, World!", NEW=new, OLD=old).secret == "OLD"
    assert verify(GITHUB, headers, b"Hello, World!", NEW=old, OLD=new).secret == "NEW"
    assert standard(keys={"NEW": b"x", "OLD": STANDARD_KEY}).secret == "OLD"


@pytest.mark.parametrize(
    "signatures",
    [
        f"v1,{STANDARD_MAC}",
        f"v1,{'A' * 43}= v1,{STANDARD_MAC}",  # a key being rotated
        f"v2,whatever v1a,{STANDARD_MAC} v1,{STANDARD_MAC}",  # later versions of the scheme
        f"nonsense v1, v1 , v1,%%% v1,{STANDARD_MAC}",
    ],
)
def test_one_matching_entry_is_enough_regardless_of_the_others(signatures: str) -> None:
    assert standard(webhook_signature=signatures).ok


@pytest.mark.parametrize(
    "signatures",
    [
        "v1",
        "v1,",
        ",",
        " ",
        STANDARD_MAC,
        f"v2,{STANDARD_MAC}",
        f"v1,{STANDARD_MAC[:-1]}",
        f"v1,{STANDARD_MAC}=",
        f"v1,{STANDARD_MAC[:-4]}",
        f"v1,{STANDARD_MAC},x",
        "v1,\xff\xfe",
        "v1,\u20ac",
        "v1," + "A" * 9000,
    ],
)
def test_a_header_without_a_readable_entry_is_malformed(signatures: str) -> None:
    assert standard(webhook_signature=signatures).reason is Reason.MALFORMED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"webhook_signature": None}, Reason.MISSING),
        ({"webhook_signature": ""}, Reason.MISSING),
        ({"webhook_id": None}, Reason.ID_MISSING),
        ({"webhook_timestamp": None}, Reason.TIMESTAMP_MISSING),
        ({"webhook_id": "msg_another"}, Reason.MISMATCH),
        ({"webhook_id": "\u20ac"}, Reason.MALFORMED),
        ({"webhook_timestamp": str(STANDARD_TIME + 1)}, Reason.MISMATCH),
    ],
)
def test_a_missing_or_changed_header_is_rejected(
    changes: dict[str, str | None], reason: Reason
) -> None:
    assert standard(**changes).reason is reason  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "1614265330.0",
        " 1614265330",
        "1614265330 ",
        "+1614265330",
        "-1614265330",
        "1_614_265_330",
        "0x60379f72",
        "1e9",
        "٣٣٣",
        "²",
        "now",
        "nan",
        "9" * 13,
        "9" * 5000,
        "\xff",
    ],
)
def test_a_timestamp_that_is_not_a_decimal_number_is_rejected(text: str) -> None:
    assert standard(webhook_timestamp=text).reason is Reason.TIMESTAMP_MALFORMED


@pytest.mark.parametrize(
    ("offset", "authentic"),
    [
        (-300, True),
        (300, True),
        (300.1, False),
        (-300.1, False),
        (1e9, False),
        (-1e9, False),
    ],
)
def test_the_tolerance_is_the_same_for_the_past_and_the_future(
    offset: float, authentic: bool
) -> None:
    reason = None if authentic else Reason.TIMESTAMP_OUTSIDE_TOLERANCE
    assert standard(now=STANDARD_TIME + offset).reason is reason


def test_a_signed_id_that_is_not_utf_8_is_authentic_and_left_to_the_event_id_check() -> None:
    content = b"\xff." + str(STANDARD_TIME).encode() + b"." + STANDARD_BODY
    mac = base64.b64encode(hmac.digest(STANDARD_KEY, content, hashlib.sha256)).decode()
    verification = standard(webhook_id="\xff", webhook_signature="v1," + mac)
    assert verification.ok
    assert verification.event_id is not None
    assert not verification.event_id.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256=",
        "sha1=" + "0" * 40,
        GITHUB_MAC[7:],
        GITHUB_MAC + "0",
        GITHUB_MAC[:-1],
        GITHUB_MAC[:-2],
        " " + GITHUB_MAC,
        GITHUB_MAC.replace("=7", "= 7"),
        "SHA256=" + GITHUB_MAC[7:],
        "sha256=" + "g" * 64,
        "sha256=" + "\xff" * 64,
        "sha256=" + "٣" * 64,
        GITHUB_MAC + "," + GITHUB_MAC,
        "sha256=" + "0" * 100_000,
    ],
)
def test_a_body_signature_in_any_other_form_is_rejected(text: str) -> None:
    verification = verify(GITHUB, {"X-Hub-Signature-256": text}, b"Hello, World!", KEY=GITHUB_KEY)
    assert verification.reason in (Reason.MISSING, Reason.MALFORMED)


def test_an_empty_key_is_never_live() -> None:
    empty = "sha256=" + hmac.digest(b"", b"body", hashlib.sha256).hex()
    assert not verify(GITHUB, {"X-Hub-Signature-256": empty}, b"body", KEY=b"").ok
    assert not verify(TOKEN, {"X-Token": "Bearer "}, b"body", KEY=b"").ok


def test_a_token_is_accepted_only_if_complete_and_after_its_prefix() -> None:
    def ask(text: str) -> Verification:
        return verify(TOKEN, {"X-Token": text}, b"{}", OLD=b"older", KEY=b"t\xf6ken")

    assert ask("Bearer t\xf6ken") == Verification(None, "KEY")
    assert ask("Bearer t\xf6ke").reason is Reason.MISMATCH
    assert ask("t\xf6ken").reason is Reason.MALFORMED
    assert ask("Bearer \u20ac").reason is Reason.MALFORMED
    assert ask("").reason is Reason.MISSING


@given(
    texts=st.lists(st.text(max_size=80), min_size=3, max_size=3),
    body=st.binary(max_size=80),
    now=st.floats(min_value=-1e12, max_value=1e12),
)
def test_no_scheme_raises_or_accepts_any_random_input(
    texts: list[str], body: bytes, now: float
) -> None:
    for signature in (STANDARD, GITHUB, STRIPE, TOKEN):
        names = (signature.header, signature.id_header or "x", signature.timestamp_header or "y")
        headers = dict(zip(names, texts, strict=True))
        assert verify(signature, headers, body, now, KEY=b"unguessable").reason is not None


@pytest.mark.parametrize(
    ("signature", "headers"),
    [
        (GITHUB, {"X-Hub-Signature-256": GITHUB_MAC}),
        (STRIPE, {"Shippo-Auth-Signature": f"t={STRIPE_TIME},v1={STRIPE_MAC}"}),
        (
            STANDARD,
            {
                "webhook-id": "m",
                "webhook-timestamp": str(STRIPE_TIME),
                "webhook-signature": "v1," + STANDARD_MAC,
            },
        ),
        (TOKEN, {"X-Token": "Bearer wrong"}),
    ],
    ids=lambda value: getattr(value, "scheme", ""),
)
def test_every_comparison_with_a_secret_takes_constant_time(
    monkeypatch: pytest.MonkeyPatch, signature: Signature, headers: dict[str, str]
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    constant_time = hmac.compare_digest

    def spy(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return constant_time(a, b)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    monkeypatch.setattr(keyring, "compare_digest", spy)
    keys = {"KEY": b"not this one", "KEY_PREVIOUS": b"nor this one"}
    assert verify(signature, headers, b"{}", STRIPE_TIME, **keys).reason is Reason.MISMATCH
    assert len(compared) == len(keys)


def test_a_prepared_scheme_gives_the_same_answer_every_time() -> None:
    scheme = prepare(Source("acme", GITHUB, (Secret("KEY", GITHUB_KEY),), Pointers(), {}))
    environ = {"HTTP_X_HUB_SIGNATURE_256": GITHUB_MAC}
    answers = [
        scheme.verify(environ.get, body, 0).ok
        for body in (b"Hello, World!", b"other", b"Hello, World!")
    ]
    assert answers == [True, False, True]
