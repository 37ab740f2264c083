"""What ran, and on what. Names neither the host nor any path."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from pymongo import MongoClient

from loadtest.harness.accounts import Document
from loadtest.harness.stores import Client

# Name in the report -> distribution.
PACKAGES = {
    "locust": "locust",
    "gunicorn": "gunicorn",
    "meinheld": "meinheld",
    "falcon": "falcon",
    "redis-py": "redis",
    "pymongo": "pymongo",
}


def versions(redis: Client, mongo: MongoClient[Document]) -> dict[str, str]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    fsync = redis.config_get("appendfsync")["appendfsync"]
    return {
        "cores": str(cores),
        "load average at the end": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "redis": f"{redis.info('server')['redis_version']}, appendfsync {fsync}",
        "mongod": str(mongo.server_info()["version"]),
        **{name: _version(package) for name, package in PACKAGES.items()},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
