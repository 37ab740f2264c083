"""The contents of the image."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from tests.docker.engine import await_true, docker

SIZE_MAX = 250_000_000
RUNNING = {"conf", "gateway", "routingsim", "scheduler", "workers", "supervisord.conf", ".run"}


def config(image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("inspect", "-f", "{{json .Config}}", image))
    return found


def inside(image: str, script: str) -> str:
    return docker("run", "--rm", "--read-only", "--entrypoint", "sh", image, "-c", script)


def test_it_is_small(image: str) -> None:
    size = int(docker("inspect", "-f", "{{.Size}}", image))
    print(f"\nimage: {size / 1e6:.0f} MB")
    assert size <= SIZE_MAX


def test_it_runs_as_a_user_with_a_fixed_number_that_is_not_root(image: str) -> None:
    assert config(image)["User"] == "10001:10001"
    assert inside(image, "id -u; id -g").split() == ["10001", "10001"]


def test_it_contains_what_runs_and_nothing_else(image: str) -> None:
    assert set(inside(image, "ls -A /app").split()) == RUNNING
    assert (
        inside(
            image,
            "find / -xdev -name '.env*' -o -xdev -name .git -o -xdev -name tests "
            "-path '/app/*' 2>/dev/null || true",
        )
        == ""
    )


def test_it_contains_no_secret(image: str) -> None:
    text = "\n".join([*config(image)["Env"], docker("history", "--no-trunc", image)])
    for word in ("SECRET", "PASSWORD", "TOKEN", "whsec_"):
        assert word not in text


def test_it_contains_the_built_meinheld_and_no_compiler(image: str) -> None:
    assert inside(image, "command -v gcc cc make || true") == ""
    assert inside(image, "python -c 'import meinheld.gmeinheld' && echo imported") == "imported"


def test_the_processes_cannot_change_their_own_code(image: str) -> None:
    writable = docker(
        "run",
        "--rm",
        "--entrypoint",
        "find",
        image,
        "/app",
        "/opt/venv",
        "-writable",
        "-not",
        "-type",
        "l",
    )
    assert writable == "/app/.run"


def test_a_stop_before_supervisord_handles_signals_needs_no_sigkill(image: str) -> None:
    name = f"gateway-test-{uuid.uuid4().hex[:8]}"
    docker("run", "-d", "--name", name, image, "python", "-c", "import time; time.sleep(60)")
    try:
        started = time.monotonic()
        docker("stop", "--time", "30", name)
        assert time.monotonic() - started < 10
        assert docker("inspect", "-f", "{{.State.ExitCode}}", name) == "143"
    finally:
        docker("rm", "--force", "--volumes", name)


def test_without_settings_it_runs_in_production_and_names_the_missing_secrets(image: str) -> None:
    name = f"gateway-test-{uuid.uuid4().hex[:8]}"
    nowhere = {
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "ROUTING_URL": "http://127.0.0.1:1",
        "MONGO_URL": "mongodb://127.0.0.1:1/fincart",
    }
    options = [part for key, value in nowhere.items() for part in ("-e", f"{key}={value}")]
    docker("run", "-d", "--name", name, *options, image)
    try:
        await_true(
            lambda: "none of STANDARD_SECRET" in docker("logs", name),
            60,
            "a line that names the secret",
        )
        assert "serving with" not in docker("logs", name)
    finally:
        docker("rm", "--force", "--volumes", name)
