"""Every command that the README shows works, typed as it stands there, in a tree of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conf.sources.loader import load_sources
from gateway.stack import environment, home_directory
from tests.support.servers import ROOT, await_true

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = [
    re.sub(r"^    ", "", block, flags=re.MULTILINE)
    for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", README, re.MULTILINE)
]
# Run by tests of their own, or too long for one: the demo runs in tests/e2e/test_demo.py.
ELSEWHERE = (
    "make demo",
    "make test",
    "make bench",
    "make load",
    "make test-docker",
    "docker compose",
)


def block_with(text: str) -> str:
    [found] = [block for block in BLOCKS if text in block]
    return found


class Checkout:
    """A copy of the tree with a stack of its own ports."""

    def __init__(self, home: Path) -> None:
        self.home = home
        edge, ops, redis, mongo, sim = home_directory.free_ports(5)
        self.edge = f"127.0.0.1:{edge}"
        self.env = environment.without_settings(os.environ) | {
            "GATEWAY_BIND": self.edge,
            "OPS_BIND": f"127.0.0.1:{ops}",
            "LOCAL_REDIS_PORT": str(redis),
            "LOCAL_MONGO_PORT": str(mongo),
            "ROUTINGSIM_BIND": f"127.0.0.1:{sim}",
            "ROUTINGSIM_LATENCY_MS": "50",
            "PYTHON": "",
        }

    def type(self, command: str) -> subprocess.CompletedProcess[str]:
        """What a reader types, but for the port."""
        return subprocess.run(
            ["sh", "-c", command.replace("localhost:8080", self.edge)],
            cwd=self.home,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def says(self, command: str) -> str:
        done = self.type(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def checkout() -> Iterator[Checkout]:
    with home_directory.temporary_home() as home:
        files = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in files.stdout.splitlines():
            if (ROOT / name).is_file():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, home / name)
        (home / ".venv").symlink_to(Path(sys.prefix))
        checkout = Checkout(home)
        try:
            assert "up: events go to" in checkout.says("make up")
            yield checkout
        finally:
            down = checkout.type("make down")
        assert "down" in down.stdout


def test_a_sent_event_can_be_shown_and_counted(checkout: Checkout) -> None:
    send, show, status = block_with("gateway send").strip().splitlines()
    assert "202" in checkout.says(send)
    await_true(lambda: "outcome      routed" in checkout.says(show), 30, "the event is routed")
    assert "worker-lookup_00" in checkout.says(status)


def test_curl_can_sign_and_post_an_event(checkout: Checkout) -> None:
    commands = block_with("openssl dgst")
    assert '{"status":"accepted","id":"bench:evt_2"}' in checkout.says(commands)


def test_redis_cli_shows_the_sets_and_an_event(checkout: Checkout) -> None:
    retry, dead, event = block_with("make redis-cli").strip().splitlines()
    checkout.says(".venv/bin/python -m gateway send --id early --shipment NOT-YET")
    await_true(lambda: "bench:early" in checkout.says(retry), 30, "the early event waits")
    assert "bench:early" not in checkout.says(dead)
    checkout.says(".venv/bin/python -m gateway send --id evt_1")
    assert "state" in checkout.says(event)


def test_the_stack_can_be_watched_and_controlled(checkout: Checkout) -> None:
    assert "RUNNING" in checkout.says("make status")
    assert "worker-routing_01: started" in checkout.says('make ctl ARGS="restart worker-routing:*"')
    assert "RUNNING" in checkout.says(".venv/bin/supervisorctl status")


@pytest.mark.parametrize(
    "command",
    sorted(set(re.findall(r"`(python -m gateway [a-z -]+?)(?:`| \[| ID| --rate)", README))),
)
def test_operators_commands_are_there(checkout: Checkout, command: str) -> None:
    assert "usage:" in checkout.says(f".venv/bin/{command} --help")


def test_the_courier_of_the_readme_is_a_valid_source(tmp_path: Path) -> None:
    path = tmp_path / "sources.toml"
    path.write_text(block_with("[acme]"))
    source = load_sources(path, {"ACME_SECRET": "of-acme-and-us"}, "production")["acme"]
    assert source.enabled
    assert source.status("moving") == "in_transit"


def test_every_command_of_the_readme_is_tested() -> None:
    """Whoever adds one adds its test."""
    tested = (
        "gateway send",
        "gateway show",
        "gateway status",
        "openssl dgst",
        "body=",
        "curl -i",
        "make redis-cli",
        "make up",
        "make down",
    )
    commands = [
        line
        for block in BLOCKS
        for line in block.splitlines()
        if re.match(r"(make|docker|curl|\.venv|body=|mac=|python) ?", line)
    ]
    assert commands
    for line in commands:
        assert any(part in line for part in (*tested, *ELSEWHERE)), line
