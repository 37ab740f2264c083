"""What the figures depend on: the machine, the versions, and how long a flush to disk takes."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import tempfile
import time
from pathlib import Path

from gateway.stack import servers
from loadtest.harness.figures import median

FLUSHES = 100


def describe() -> dict[str, str]:
    """Name -> value, to be printed as they are."""
    search = os.environ.get("PATH", os.defpath)
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": _processor(),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "redis": _version(servers.redis_server(search).path),
        "mongod": _version(servers.mongod(search).path),
        "edge": "meinheld" if has_meinheld() else "gthread",
        "load before": f"{os.getloadavg()[0]:.2f}",  # above 0.2 the figures are noisy
        "flush to disk": f"{flush_ms():.2f} ms (median of {FLUSHES} fdatasync of 1 KiB)",
    }


def flush_ms() -> float:
    """What `appendfsync always` costs in each iteration of Redis's event loop."""
    took = []
    with tempfile.TemporaryFile() as file:
        for _ in range(FLUSHES):
            file.write(bytes(1024))
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return median(took)


def _processor() -> str:
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _version(binary: Path) -> str:
    output = subprocess.run(
        [binary, "--version"], text=True, capture_output=True, check=False, timeout=20
    ).stdout
    found = re.search(r"v=?(\d+(?:\.\d+)+)", output)
    return found[1] if found else "unknown"


def has_meinheld() -> bool:
    """Whether meinheld serves the edge; else gthread does."""
    try:
        import meinheld.gmeinheld  # noqa: F401
    except Exception:  # not built, or this Python cannot load it
        return False
    return True
