"""sources.toml: the shipped file in each profile, and the messages about wrong files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from conf.settings import ROOT
from conf.sources.json_pointer import MISSING, Pointer
from conf.sources.loader import SourcesError, load_sources
from conf.sources.statuses import Status
from gateway.edge.signatures import prepare

SHIPPED = ROOT / "conf" / "sources.toml"
SECRETS = {"BENCH_SECRET": "one", "STANDARD_SECRET": "whsec_b25l"}

RIGHT = """
[acme]
scheme = "body-hmac"
signature_header = "X-Acme"
secrets_env = ["ACME_SECRET"]
pointers = { event_id = "/id", shipment_id = "/s", status = "/t" }
statuses = { gone = "delivered" }
"""


def problems(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """The problems of a file with this text, each without the leading file name."""
    path = folder / "sources.toml"
    path.write_text(text)
    with pytest.raises(SourcesError) as caught:
        load_sources(path, environ or {"ACME_SECRET": "x"}, "production")
    assert all(line.startswith(f"{path}: ") and "\n" not in line for line in caught.value.problems)
    return [line.removeprefix(f"{path}: ") for line in caught.value.problems]


@pytest.mark.parametrize("profile", ["local", "demo"])
def test_the_demo_profiles_start_with_the_published_secrets_and_a_warning_for_each(
    profile: str,
) -> None:
    sources = load_sources(SHIPPED, {}, profile)
    assert all(source.enabled for source in sources.values())
    assert sources["bench"].secrets[0].key == b"bench-secret"
    assert [line.split(":")[0] for line in sources.warnings] == list(sources)


def test_production_names_every_missing_secret_and_does_not_start() -> None:
    with pytest.raises(SourcesError) as caught:
        load_sources(SHIPPED, {}, "production")
    bench, standard = caught.value.problems
    assert "[bench] secrets_env: none of BENCH_SECRET" in bench
    assert "[standard] secrets_env: none of STANDARD_SECRET" in standard


def test_production_starts_without_an_optional_courier_and_logs_it() -> None:
    sources = load_sources(SHIPPED, SECRETS, "production")
    assert [name for name in sources if sources[name].enabled] == ["bench", "standard"]
    assert sources.notices == (
        "easypost: off, because none of EASYPOST_SECRET, EASYPOST_SECRET_PREVIOUS is set",
    )
    assert sources.warnings == ()


def test_a_blank_secret_counts_as_missing() -> None:
    with pytest.raises(SourcesError, match="BENCH_SECRET"):
        load_sources(SHIPPED, SECRETS | {"BENCH_SECRET": " \n"}, "production")


def test_production_warns_of_the_published_secret_too() -> None:
    sources = load_sources(SHIPPED, SECRETS | {"BENCH_SECRET": "bench-secret"}, "production")
    assert len(sources.warnings) == 1


def test_all_secrets_that_are_set_are_live_in_the_order_of_the_file() -> None:
    environ = SECRETS | {"BENCH_SECRET_PREVIOUS": "zero"}
    secrets = load_sources(SHIPPED, environ, "production")["bench"].secrets
    assert [(s.label, s.key) for s in secrets] == [
        ("BENCH_SECRET", b"one"),
        ("BENCH_SECRET_PREVIOUS", b"zero"),
    ]


def test_a_process_that_verifies_no_signature_needs_no_secret() -> None:
    sources = load_sources(SHIPPED, None, "production")
    assert list(sources) == ["bench", "standard", "easypost"]
    assert not any(source.secrets for source in sources.values())


@pytest.mark.parametrize("text", ["whsec_", "whsec", "whsec_%%%", "whsec_abc", "whsec_b25l b25l"])
def test_a_standard_webhooks_secret_that_is_not_base64_is_rejected_and_not_shown(
    text: str,
) -> None:
    with pytest.raises(SourcesError) as caught:
        load_sources(SHIPPED, SECRETS | {"STANDARD_SECRET": text}, "production")
    (line,) = caught.value.problems
    assert line.endswith("secrets_env: STANDARD_SECRET must be whsec_ followed by base64")


def test_a_repr_shows_no_secret() -> None:
    sources = load_sources(SHIPPED, SECRETS | {"BENCH_SECRET": "hidden"}, "production")
    assert "hidden" not in repr(sources["bench"])


def test_an_easypost_secret_is_normalised_as_easypost_does() -> None:
    # Composed; EasyPost signs with the decomposed form.
    environ = {"EASYPOST_SECRET": "cl\u00e9 secr\u00e8te"}
    source = load_sources(SHIPPED, environ, "local")["easypost"]
    body = (
        b'{"id":"evt_7","description":"tracker.updated","result":{"id":"trk_7","tracking_code":'
        b'"EZ7","status":"return_to_sender","updated_at":"2026-11-23T06:00:00Z"}}'
    )
    signature = "19e711098e3f5943326bdf81c4ec5cb34b05ae304fdda8fcdd3ddba80a84510e"
    environment = {"HTTP_X_HMAC_SIGNATURE": "hmac-sha256-hex=" + signature}
    assert prepare(source).verify(environment.get, body, 0).ok
    assert source.status("return_to_sender") is Status.RETURNED


def test_bench_and_standard_sign_as_documented() -> None:
    sources = load_sources(SHIPPED, {}, "local")
    bench, standard = sources["bench"].signature, sources["standard"].signature
    assert (bench.header, bench.prefix, bench.encoding) == ("X-Signature", "sha256=", "hex")
    assert (standard.id_header, standard.timestamp_header, standard.header) == (
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    )
    assert standard.tolerance_seconds == 300
    assert sources["bench"].statuses == {status.value: status for status in Status}


def test_a_table_is_enough_to_add_a_courier(tmp_path: Path) -> None:
    path = tmp_path / "sources.toml"
    path.write_text(RIGHT)
    acme = load_sources(path, {"ACME_SECRET": "x"}, "production")["acme"]
    assert acme.pointers.event_id == Pointer.parse("/id")
    assert acme.status("gone") is Status.DELIVERED
    assert acme.status("here") is None
    assert acme.status(["gone"]) is None


def test_a_table_overrides_single_keys_of_its_preset(tmp_path: Path) -> None:
    path = tmp_path / "sources.toml"
    path.write_text(
        '[a]\npreset = "easypost"\nsecrets_env = ["ACME_SECRET"]\n'
        'pointers.event_id = "/result/id"\nstatuses.failure = "exception"\n'
    )
    source = load_sources(path, {"ACME_SECRET": "x"}, "production")["a"]
    assert source.status("failure") is Status.EXCEPTION
    assert source.status("error") is Status.EXCEPTION
    assert source.pointers.event_id == Pointer.parse("/result/id")
    assert source.pointers.status == Pointer.parse("/result/status")


def test_a_quota_without_a_burst_has_a_burst_of_one_second(tmp_path: Path) -> None:
    path = tmp_path / "sources.toml"
    path.write_text(RIGHT + "quota_per_second = 50\n")
    source = load_sources(path, {"ACME_SECRET": "x"}, "production")["acme"]
    assert (source.quota_per_second, source.quota_burst) == (50, 50)


def test_all_problems_are_reported_at_once_with_table_key_and_allowed_values(
    tmp_path: Path,
) -> None:
    found = problems(
        tmp_path,
        """
[acme]
preset = "stripe"
tolerance_seconds = 0
secrets_env = "ACME_SECRET"
pointers = { shipment_id = "s", ship = "/x" }
statuses = { gone = "lost" }
colour = "red"
[beta]
preset = "githbu"
[Gamma]
""",
    )
    assert [line.partition(";")[0] for line in found] == [
        '[acme] colour: unknown key of scheme "stripe"',
        "[acme] tolerance_seconds: 0 is not allowed",
        "[acme] pointers: ship: unknown key",
        "[acme] pointers: status: missing",
        '[acme] pointers: shipment_id: "s" is not allowed',
        '[acme] secrets_env: "ACME_SECRET" is not allowed',
        '[acme] statuses.gone: "lost" is not allowed',
        '[beta] preset: "githbu" is unknown',
        "[Gamma] the name of a source must be 1 to 64 of a-z 0-9 _ -",
    ]
    assert all(
        "allowed: " in line or "must be" in line or "starts with /" in line for line in found
    )


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('"body-hmac"', '"md5"', "scheme"),
        ('"X-Acme"', '"X_Acme"', "signature_header"),
        ('"X-Acme"', '"X Acme"', "signature_header"),
        ('["ACME_SECRET"]', "[]", "secrets_env"),
        ('["ACME_SECRET"]', '["A-B"]', "secrets_env"),
        ('event_id = "/id", ', 'event_id = "/~2", ', "pointers: event_id"),
        ("gone", '""', None),
        ('{ gone = "delivered" }', "{}", "statuses"),
        ('{ gone = "delivered" }', '"ours"', "statuses"),
        ("[acme]", '[acme]\nencoding = "hax"', "encoding"),
        ("[acme]", "[acme]\ntolerance_seconds = 5", "tolerance_seconds"),
        ("[acme]", "[acme]\noptional = 1", "optional"),
        ("[acme]", "[acme]\nquota_per_second = -1", "quota_per_second"),
        ("[acme]", "[acme]\nquota_per_second = true", "quota_per_second"),
        ("[acme]", "[acme]\nquota_per_second = nan", "quota_per_second"),
        ("[acme]", "[acme]\nquota_burst = 9", "quota_burst"),
        ("[acme]", '[acme]\ndedup_fields = ["/a"]', "dedup_fields"),
        ("[acme]", '[acme]\nsecret_format = "hex"', "secret_format"),
    ],
)
def test_a_wrong_value_is_reported(tmp_path: Path, old: str, new: str, key: str | None) -> None:
    text = RIGHT.replace(old, new)
    assert text != RIGHT
    if key is None:  # an empty courier status is allowed
        (tmp_path / "right.toml").write_text(text)
        assert load_sources(tmp_path / "right.toml", {"ACME_SECRET": "x"}, "production")
        return
    (line,) = problems(tmp_path, text)
    assert line.startswith(f"[acme] {key}: ")


def test_a_token_is_accepted_as_authenticity_only_if_the_table_says_so(tmp_path: Path) -> None:
    token = RIGHT.replace("body-hmac", "token")
    (line,) = problems(tmp_path, token)
    assert line.startswith('[acme] authenticity: must be "token-only"')
    path = tmp_path / "sources.toml"
    path.write_text(token + 'authenticity = "token-only"\n')
    sources = load_sources(path, {"ACME_SECRET": "x"}, "production")
    assert sources.warnings == ("acme: token-only: its events are not signed",)


def test_a_source_with_a_signed_id_must_not_name_another_id(tmp_path: Path) -> None:
    text = RIGHT.replace('scheme = "body-hmac"', 'preset = "svix"')
    (line,) = problems(tmp_path, text, {"ACME_SECRET": "whsec_b25l"})
    assert line == "[acme] pointers.event_id: the signed svix-id is the event id"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no source"),
        ("x = 1", "x: unknown key"),
        ("[a", "is not TOML"),
        ("[a]\n[a]", "is not TOML"),
    ],
)
def test_a_file_without_sources_is_rejected(tmp_path: Path, text: str, message: str) -> None:
    assert message in problems(tmp_path, text)[0]


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SourcesError, match=r"absent\.toml: cannot be read"):
        load_sources(tmp_path / "absent.toml", {}, "local")


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/a/0", 1),
        ("/a/1", MISSING),
        ("/a/-", MISSING),
        ("/a/00", MISSING),
        ("/a/x", MISSING),
        ("/b~1c", 2),
        ("/d~0e", 3),
        ("/~01", 4),
        ("/", 5),
        ("/n", None),
        ("/n/x", MISSING),
        ("/t/0", MISSING),
        ("/absent/x", MISSING),
        ("/a/٠", MISSING),
    ],
)
def test_a_json_pointer_resolves_as_rfc_6901_defines(pointer: str, value: object) -> None:
    document = {"a": [1], "b/c": 2, "d~e": 3, "~1": 4, "": 5, "n": None, "t": "text"}
    found = Pointer.parse(pointer).resolve(document)
    assert found is value or found == value


def test_events_of_the_same_time_lead_to_the_same_status_in_either_order() -> None:
    assert len({status.rank for status in Status}) == len(Status)
    terminal = {status.rank for status in Status if status.terminal}
    assert {s.value for s in Status if s.terminal} == {"delivered", "returned", "cancelled"}
    assert min(terminal) > max(status.rank for status in Status if not status.terminal)
