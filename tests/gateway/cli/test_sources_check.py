"""``python -m gateway sources check``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conf.settings import load
from gateway.cli.parser import parser
from gateway.cli.sources import check
from gateway.stack import environment
from tests.support import couriers
from tests.support.couriers import COURIERS, SECRETS
from tests.support.servers import ROOT

AT = 1795500000
BODY = COURIERS["shippo"].body("scan_1", "TRACK-1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sources.toml"
    path.write_text(couriers.SOURCES, "utf-8")
    return path


def settings(file: Path) -> dict[str, str]:
    return {"SOURCES_FILE": str(file), "PROFILE": "production", **SECRETS}


def ask(
    capsys: pytest.CaptureFixture[str], environ: dict[str, str], *arguments: str
) -> tuple[int, str]:
    """Run the command in this process; returns its exit code and output."""
    parsed = parser().parse_args(["sources", "check", *arguments])
    parsed.environ = environ
    code = check(load(environ), parsed)
    output = capsys.readouterr()
    text = output.out + output.err
    assert not any(secret in text for secret in SECRETS.values())
    return code, text


def captured(folder: Path, body: bytes = BODY) -> str:
    headers = {
        "Host": "x",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **COURIERS["shippo"].signed(BODY, "scan_1", AT),
    }
    lines = ["POST /v1/events/shippo HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items()), "", ""]
    (folder / "captured.http").write_bytes("\r\n".join(lines).encode() + body)
    return str(folder / "captured.http")


def test_the_command_checks_the_file_and_explains_a_captured_request(file: Path) -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gateway", "sources", "check", *arguments],
            cwd=ROOT,
            text=True,
            env=environment.without_settings(os.environ) | settings(file),
            capture_output=True,
            check=False,
        )

    listed = command()
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout.endswith(f"{file}: 13 sources, right\n")
    skewed = command(
        "--source", "shippo", "--request", captured(file.parent), "--now", "2026-11-24T06:20:00Z"
    )
    assert (skewed.returncode, skewed.stderr) == (1, "")
    assert skewed.stdout.startswith("shippo: rejected, 401\n- ")
    assert "skewed by 1200 s" in skewed.stdout


def test_a_captured_request_is_judged_as_of_its_own_time(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = ("--source", "shippo", "--request", captured(file.parent))
    code, output = ask(capsys, settings(file), *request, "--now", str(AT))
    assert code == 0
    assert output.startswith("shippo: accepted, 202\n")
    assert "the signature is right, by SHIPPO_SECRET" in output
    assert "event: shipment TRACK-1, status in_transit" in output
    code, output = ask(capsys, settings(file), *request)
    assert code == 1
    assert "skewed by" in output


def test_headers_and_a_body_may_be_given_separately(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = COURIERS["sendcloud"].body("evt_1")
    (file.parent / "body.json").write_bytes(body)
    headers = [f"--header={n}: {v}" for n, v in COURIERS["sendcloud"].signed(body, "").items()]
    arguments = ("--source", "sendcloud", *headers, "--body", str(file.parent / "body.json"))
    assert ask(capsys, settings(file), *arguments)[0] == 0
    (file.parent / "body.json").write_bytes(body.replace(b" ", b""))
    code, output = ask(capsys, settings(file), *arguments)
    assert code == 1
    assert "signed the same as JSON with a space after each comma and colon" in output


def test_a_former_secret_may_be_tried(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rotated = {
        name: f"the new value of {name}"
        for name, secret in SECRETS.items()
        if secret == couriers.SECRET
    }
    environ = settings(file) | rotated | {"OF_2025": couriers.SECRET}
    request = ("--source", "shippo", "--request", captured(file.parent), "--now", str(AT))
    code, output = ask(capsys, environ, *request, "--try", "OF_2025")
    assert code == 1
    assert "signed with OF_2025" in output


def test_every_source_is_listed_with_what_it_accepts(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = ask(capsys, settings(file))
    assert code == 0
    blocks = {block.partition(" ")[0]: block for block in output.split("\n\n")}
    for preset, texts in {
        "shippo": (
            "POST /v1/events/shippo",
            "over time and body, in Shippo-Auth-Signature",
            "SHIPPO_SECRET (live)",
            "signed; at most 300 s off, either way",
            "SHA-256 of /data/tracking_number, /data/tracking_status/object_id",
            "occurred at /data/tracking_status/status_date",
            "returned: RETURNED",
            "ignored: UNKNOWN; any other: dead letter",
            "quota      none",
        ),
        "easypost": (
            'in hex after "hmac-sha256-hex=", in X-Hmac-Signature',
            "read as nfkd",
            "not signed: only the event id identifies a repeat",
            "/id in the body",
        ),
        "fedex": ("in hex or base64, in fdx-signature", "canonical"),
        "svix": ("with svix-id and svix-timestamp", "header svix-id, signed", "read as whsec"),
        "shiphero": ("header X-Shiphero-Message-ID, not signed",),
        "dhl-push": ("TOKEN ONLY: a fixed token in X-Push-Token",),
    }.items():
        for text in texts:
            assert text in blocks[preset]
    assert "dhl-push: token-only: its events are not signed" in output


def test_a_single_source_may_be_listed_and_unset_secrets_are_named(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(
        '[a]\npreset = "shippo"\nsecrets_env = ["A", "B"]\ndemo_secret = "for all"\n'
        'optional = true\nquota_per_second = 5\nstatuses."*" = "ignored"\n'
        '[b]\npreset = "easypost"\nsecrets_env = ["C"]\noptional = true\n',
        "utf-8",
    )
    code, output = ask(capsys, {"SOURCES_FILE": str(file), "PROFILE": "local"}, "--source", "a")
    assert code == 0
    assert "A (not set, the published demo secret is used), B (not set)" in output
    assert "5 events a second, 5 at once" in output
    assert "any other: ignored" in output
    assert "easypost" not in output.lower()
    _, output = ask(capsys, {"SOURCES_FILE": str(file), "PROFILE": "production", "A": "for all"})
    assert "A (live, and it is the published demo secret), B (not set)" in output
    assert "b   POST /v1/events/b   OFF: none of its secrets is set" in output


def test_every_problem_of_the_file_is_one_line_and_the_exit_code_is_1(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text('[a]\npreset = "shippo"\ncolour = "red"\n[b]\npreset = "pigeon"\n', "utf-8")
    code, output = ask(capsys, settings(file))
    assert code == 1
    assert [line.removeprefix(f"{file}: ").partition(":")[0] for line in output.splitlines()] == [
        "[a] colour",
        "[a] secrets_env",
        "[b] preset",
    ]


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("--request", "x.http"), "which source was it sent to? --source NAME"),
        (("--source", "pigeon"), "no source pigeon; there are standard-webhooks, svix"),
        (("--source", "svix", "--request", "/absent"), "No such file"),
        (("--source", "svix", "--header", "no header"), "not a header; it must be like"),
        (
            ("--source", "svix", "--header", "A: b", "--now", "noon"),
            "seconds since 1970 or a time in",
        ),
    ],
)
def test_wrong_arguments_are_explained(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], output: str
) -> None:
    code, text = ask(capsys, settings(file), *arguments)
    assert code == 64
    assert output in text
