"""The commands of the documents work as they are written, and their links and paths exist.

A ``sh`` block either runs in a copy of the tree with a stack of its own, or ``COVERED`` names the
test that runs each of its commands.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from conf.sources.loader import load_sources
from gateway.stack import environment, home_directory
from tests.support.servers import ROOT, await_true

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
HISTORY = {"CHANGELOG.md", "PROMPTS.md"}  # these name what existed at their time
LANGUAGES = {"sh", "toml", "json", "text"}
# A command that does not run here, and the test that runs it.
COVERED = {
    r"make demo\b": "tests/e2e/test_demo.py",
    r"make (test|lint)\b": ".ci/run",
    r"make reload$": "tests/e2e/test_rolling.py",
    r"supervisorctl restart gateway ": "tests/e2e/test_rolling.py",
    r"make test-docker": "tests/docker/check_stack.py",
    r"(\w+=\S+ )?docker ": "tests/docker/check_stack.py",
    r"make chaos": "tests/loadtest/test_chaos_run.py",
    r"make soak": "tests/loadtest/test_soak.py",
    r"make fuzz": "tests/fuzz/test_fuzz.py",
    r"make load$|\.venv/bin/locust -f ": "tests/loadtest/test_load_locust.py",
    r"make bench-recovery|python -m loadtest\.bench worker-killed": (
        "tests/loadtest/test_bench_recovery.py"
    ),
    r"make bench$|python -m loadtest\.bench ": "tests/loadtest/test_bench.py",
    r"python -m routingsim$": "tests/routingsim/test_process.py",
    r"python -m gateway sources check": "tests/gateway/cli/test_sources_check.py",
}


class Block(NamedTuple):
    document: Path
    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        return [line for line in self.text.splitlines() if line.strip()]

    def is_covered(self) -> bool:
        return all(any(re.match(command, line) for command in COVERED) for line in self.lines)


def blocks(document: Path) -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text("utf-8"), re.S | re.M)
    return [Block(document, *block) for block in found]


def prose(document: Path) -> str:
    return re.sub(r"^```.*?^```$", "", document.read_text("utf-8"), flags=re.S | re.M)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]
SHELL = [block for block in BLOCKS if block.language == "sh"]
# Blocks with a test of their own in this file, which also checks what they print.
SEND, CURL, REDIS_CLI = "gateway send --source", "openssl dgst", "{gw:0}:event:bench"
RUN = [
    block
    for block in SHELL
    if not block.is_covered() and not any(part in block.text for part in (SEND, CURL, REDIS_CLI))
]


def block_with(text: str) -> str:
    [found] = {block.text for block in BLOCKS if text in block.text}
    return found


class Checkout:
    """A copy of the tree with a running stack on ports of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        edge, ops, redis, mongo, simulator = home_directory.free_ports(5)
        self.addresses = {
            "localhost:8080": f"127.0.0.1:{edge}",
            "localhost:8090": f"127.0.0.1:{simulator}",
        }
        self.env = environment.without_settings(os.environ) | {
            "GATEWAY_BIND": f"127.0.0.1:{edge}",
            "OPS_BIND": f"127.0.0.1:{ops}",
            "LOCAL_REDIS_PORT": str(redis),
            "LOCAL_MONGO_PORT": str(mongo),
            "ROUTINGSIM_BIND": f"127.0.0.1:{simulator}",
            "ROUTINGSIM_LATENCY_MS": "50",
            "PYTHON": "",
            "PATH": f"{home / '.venv/bin'}:{os.environ['PATH']}",
        }

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """As a reader types it, except for the ports."""
        for documented, actual in self.addresses.items():
            script = script.replace(documented, actual)
        return subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=self.home,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def output(self, script: str) -> str:
        done = self.run(script)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
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
        for path in files.stdout.splitlines():
            if (ROOT / path).is_file():
                (home / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, home / path)
        (home / ".venv").symlink_to(Path(sys.prefix))
        checkout = Checkout(home)
        try:
            assert "up: events go to" in checkout.output("make up")
            yield checkout
        finally:
            down = checkout.run("make down")
        assert "down" in down.stdout


@pytest.mark.parametrize(
    "block", RUN, ids=[f"{name(block.document)}: {block.lines[0][:50]}" for block in RUN]
)
def test_a_block_of_commands_works_as_it_is_written(checkout: Checkout, block: Block) -> None:
    checkout.output(block.text)


def test_a_sent_event_is_shown_and_counted(checkout: Checkout) -> None:
    up, send, show, status = block_with(SEND).strip().splitlines()
    assert "already up" in checkout.output(up)
    answer = checkout.output(send)
    assert '"id":"bench:evt_1"' in answer
    assert re.match("20[02] ", answer)  # 200 where the test of redis-cli sent it before
    await_true(lambda: "outcome      routed" in checkout.output(show), 30, "the event is routed")
    assert "worker-lookup_00" in checkout.output(status)


def test_curl_can_sign_and_post_an_event(checkout: Checkout) -> None:
    assert '{"status":"accepted","id":"bench:evt_2"}' in checkout.output(block_with(CURL))


def test_redis_cli_shows_the_sets_and_an_event(checkout: Checkout) -> None:
    retry, dead, event, status = block_with(REDIS_CLI).strip().splitlines()
    checkout.output("python -m gateway send --id early --shipment NOT-YET")
    await_true(lambda: "bench:early" in checkout.output(retry), 30, "the early event waits")
    assert "bench:early" not in checkout.output(dead)
    _, send, *_ = block_with(SEND).strip().splitlines()
    checkout.output(send)
    assert "state" in checkout.output(event)
    assert "RUNNING" in checkout.output(status)


def test_the_processes_can_be_controlled(checkout: Checkout) -> None:
    restart = 'make ctl ARGS="restart worker-routing:*"'
    assert restart in block_with("make ctl")
    assert "worker-routing_01: started" in checkout.output(restart)
    assert "RUNNING" in checkout.output("supervisorctl status")


def test_the_example_of_a_source_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "sources.toml"
    path.write_text(block_with("[acme]"))
    source = load_sources(path, {"ACME_SECRET": "of-acme-and-us"}, "production")["acme"]
    assert source.enabled
    assert source.status("moving") == "in_transit"


def test_every_block_says_what_it_holds() -> None:
    assert {block.language for block in BLOCKS} <= LANGUAGES
    for document in DOCUMENTS:
        # An indented block would hide its commands from these tests.
        assert not re.search(r"^\n {4}\S", prose(document), re.M), name(document)


def test_what_covers_a_command_exists_and_is_needed() -> None:
    lines = [line for block in SHELL for line in block.lines]
    for command, test in COVERED.items():
        assert (ROOT / test).is_file(), test
        assert any(re.match(command, line) for line in lines), f"no document shows {command}"


INLINE = [
    (document, code)
    for document in DOCUMENTS
    if document.name not in HISTORY
    for code in re.findall(r"`([^`\n]+)`", prose(document))
]


def test_every_make_target_in_the_text_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    for document, code in INLINE:
        for target in re.findall(r"\bmake ([a-z-]+)", code):
            assert target in targets, f"{name(document)}: {code}"


def test_every_module_in_the_text_exists() -> None:
    for document, code in INLINE:
        for module in re.findall(r"python -m ([\w.]+)", code):
            assert importlib.util.find_spec(module), f"{name(document)}: {code}"


@pytest.mark.parametrize(
    "command",
    sorted({found for _, code in INLINE for found in re.findall(r"gateway ((?:[a-z]+ ?)+)", code)}),
)
def test_every_operators_command_in_the_text_exists(command: str) -> None:
    """Asked for its help, so that it has no effect."""
    shown = subprocess.run(
        [sys.executable, "-m", "gateway", *command.split(), "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert f"gateway {command.strip()}" in shown.stdout, shown.stderr


def test_every_path_in_the_text_exists() -> None:
    top = "|".join(sorted(path.name for path in ROOT.iterdir() if path.is_dir()))
    for document, code in INLINE:
        for path in re.findall(rf"(?<![\w/.])(?:{top})/[\w./*-]+", code):
            if not path.startswith((".run/", ".venv/")):
                assert any(ROOT.glob(path.rstrip("/"))), f"{name(document)}: {path}"


def anchors(document: Path) -> set[str]:
    """As GitHub makes them from the headings."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.M)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_link_has_a_target(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


@pytest.mark.parametrize("document", sorted(ROOT.glob("docs/*.md")), ids=name)
def test_a_document_says_at_its_beginning_for_whom_it_is(document: Path) -> None:
    title, _, first = document.read_text("utf-8").split("\n")[:3]
    assert title.startswith("# ")
    assert first.startswith("For ")


def test_the_readme_is_short_and_begins_with_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 180
    first = next(block for block in SHELL if block.document.name == "README.md")
    assert [line.split()[:2] for line in first.lines] == [["make", "demo"], ["make", "test"]]
