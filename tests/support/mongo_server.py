"""A private mongod with the product's own mongod.conf, on a port of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from gateway.stack import servers
from gateway.stack.home_directory import free_ports
from tests.support.servers import ROOT, await_true
from workers import mongo


class MongoServer:
    """url: without the name of a database."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        (port,) = free_ports(1)
        (folder / "data").mkdir()
        # It must not outlive a test run that is killed.
        self._command = [
            sys.executable,
            "-m",
            "gateway.stack.die_with_parent",
            str(os.getpid()),
            str(servers.mongod(os.environ["PATH"]).path),
            "--config",
            str(ROOT / "conf" / "mongod.conf"),
            "--port",
            str(port),
            "--dbpath",
            str(folder / "data"),
            *options,
        ]
        self.url = f"mongodb://127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> MongoServer:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log)
        await_true(self.answers, 60, "mongod")
        return self

    def answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError((self.folder / "log").read_text()[-2000:])
        database = mongo.connect(f"{self.url}/admin", 1)
        try:
            return mongo.answers(database)
        finally:
            database.client.close()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
