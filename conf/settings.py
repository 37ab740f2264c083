"""Every setting of every process, with its unit, default and trade-off.

Invariants: only this module reads settings from the environment, and no process starts with a wrong
value. ``load`` reports all wrong values at once, one line each. ``Settings`` is frozen.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent

_Check = Callable[[str], Any]


class SettingsError(Exception):
    """One or more settings are wrong. ``str()`` has one printable line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _number(kind: type, low: float, high: float) -> _Check:
    noun = "a whole number" if kind is int else "a number"

    def check(text: str) -> Any:
        wanted = (
            f"{noun} from {low:.15g} to {high:.15g}"
            if high < 1e9
            else f"{noun} of {low:.15g} or more"
        )
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(wanted) from None
        if not low <= value <= high:  # a NaN fails this too
            raise ValueError(wanted)
        return value

    return check


def _url(*schemes: str) -> _Check:
    def check(text: str) -> str:
        wanted = "a URL such as " + " or ".join(f"{s}://host:port/…" for s in schemes)
        try:
            parts = urlsplit(text)
            _ = parts.port  # raises ``ValueError`` for a wrong port
        except ValueError:
            raise ValueError(wanted) from None
        if parts.scheme not in schemes or not (parts.netloc or parts.path):
            raise ValueError(wanted)
        return text

    return check


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("host:port, such as 0.0.0.0:8080")
    return text


def _file(text: str) -> Path:
    path = Path(text)
    path = path if path.is_absolute() else ROOT / path
    if not path.is_file():
        raise ValueError("the path of a file that exists")
    return path


def _choice(*allowed: str) -> _Check:
    def check(text: str) -> str:
        if text not in allowed:
            raise ValueError("one of " + ", ".join(allowed))
        return text

    return check


def _text(text: str) -> str:
    return text


def _token(text: str) -> str:
    if len(text) < 8 and text:
        raise ValueError("empty, or at least 8 characters")
    return text


def _setting(default: Any, unit: str, why: str, check: _Check) -> Any:
    return field(default=default, metadata={"unit": unit, "why": why, "check": check})


def _seconds(default: float, low: float, high: float, why: str) -> Any:
    return _setting(default, "seconds", why, _number(float, low, high))


def _count(default: int, low: int, high: int, why: str, unit: str = "count") -> Any:
    return _setting(default, unit, why, _number(int, low, high))


@dataclass(frozen=True)
class Settings:
    """The settings of a process. The environment variable of a field is its name in capitals."""

    profile: str = _setting(
        "production",
        "name",
        "local and demo allow the published demo secrets, with a warning; "
        "production stops at start when a secret is missing.",
        _choice("production", "demo", "local"),
    )
    redis_url: str = _setting(
        "redis://127.0.0.1:6379/0",
        "URL",
        "A unix socket (unix:///path) saves about a fifth of a "
        "round trip when Redis is on the same host.",
        _url("redis", "rediss", "unix"),
    )
    mongo_url: str = _setting(
        "mongodb://127.0.0.1:27017/fincart",
        "URL",
        "Holds shipments, orders and the ledger; the path names the database.",
        _url("mongodb", "mongodb+srv"),
    )
    routing_url: str = _setting(
        "http://127.0.0.1:8090",
        "URL",
        "Base of the Routing Service; /v1/routes is added.",
        _url("http", "https"),
    )
    gateway_bind: str = _setting("0.0.0.0:8080", "host:port", "Where couriers post.", _address)
    ops_bind: str = _setting(
        "127.0.0.1:8081",
        "host:port",
        "Metrics and state for operators. The default is reachable from this host only.",
        _address,
    )
    ops_token: str = _setting(
        "",
        "text",
        "Bearer token of the ops port. Empty: the port answers only its health check.",
        _token,
    )
    sources_file: Path = _setting(
        ROOT / "conf" / "sources.toml",
        "path",
        "The sources: signature schemes, secrets, JSON Pointers.",
        _file,
    )
    web_concurrency: int = _count(
        16,
        1,
        64,
        "Processes of the edge. Each waits for one Redis round trip at a time, and all that wait "
        "share one flush to disk. More share more, at about 11 MB of memory each. With gthread, "
        "whose threads wait instead, 4 processes reach the same rate.",
    )
    gateway_server: str = _setting(
        "meinheld",
        "name",
        "HTTP server of the edge. meinheld serves three times the events and is used where it is "
        "installed; gthread enforces HTTP strictly (docs/edge-http.md).",
        _choice("meinheld", "gthread"),
    )
    lookup_processes: int = _count(
        1, 1, 64, "Processes of the lookup lane. More use more cores for Mongo lookups."
    )
    lookup_threads: int = _count(
        16,
        1,
        256,
        "Events in work at once in one lookup process. More hide Mongo's latency until the process "
        "uses a whole core.",
    )
    routing_processes: int = _count(
        2,
        1,
        64,
        "Processes of the routing lane. With more, a crash interrupts a smaller part of the calls.",
    )
    routing_threads: int = _count(
        64,
        1,
        512,
        "Calls in flight at once in one routing process. More drain the lane faster and put more "
        "load on the Routing Service.",
    )
    worker_nice: int = _count(
        10,
        0,
        19,
        "Niceness of the workers: the edge goes first where both want the same cores, so a burst "
        "is acknowledged before it is processed. 0: no difference; for workers on other hosts.",
        "niceness",
    )
    lease_seconds: float = _seconds(
        15,
        1,
        3600,
        "How long a lock stays valid after the last heartbeat of its holder, which sends one every "
        "third of this time. Shorter: events of a lost host are taken over sooner. Longer: a "
        "stalled process keeps its events.",
    )
    attempt_seconds: float = _seconds(
        30,
        1,
        3600,
        "Hard deadline of one attempt; a thread that exceeds it loses its event, which is retried. "
        "Must be longer than ROUTING_TIMEOUT_SECONDS.",
    )
    max_attempts: int = _count(
        12,
        1,
        1000,
        "Failed routing calls after which an event becomes a dead letter. More: it survives longer "
        "faults. Fewer: an event that never succeeds is visible sooner.",
    )
    retry_base_seconds: float = _seconds(
        2,
        0.001,
        3600,
        "First window of the exponential backoff; the window doubles with each attempt.",
    )
    retry_cap_seconds: float = _seconds(
        900,
        0.001,
        86400,
        "Largest window of the backoff. Smaller: retries succeed sooner after a long fault, at "
        "more calls during it.",
    )
    retry_floor_seconds: float = _seconds(
        1, 0, 3600, "Shortest wait before a retry; a longer Retry-After takes precedence."
    )
    max_age_seconds: float = _seconds(
        86400,
        1,
        31536000,
        "Age, since it was accepted or replayed, at which an event that fails becomes a dead "
        "letter instead of being retried.",
    )
    unknown_shipment_seconds: float = _seconds(
        21600, 0, 31536000, "How long an event waits for a shipment that does not exist yet."
    )
    unknown_retry_seconds: float = _seconds(
        60,
        0.01,
        3600,
        "Longest wait between two lookups of an unknown shipment. Shorter: the event is processed "
        "sooner after its shipment appears, at more Mongo reads.",
    )
    max_crashes: int = _count(
        5,
        3,
        100,
        "Process crashes after which an event becomes a dead letter with reason poison. Before the "
        "last of them a process holds the event exclusively.",
    )
    backlog_max_events: int = _count(
        500_000,
        1,
        10**12,
        "Size of the backlog (events waiting, locked or retrying) at which the edge answers 503.",
        "events",
    )
    backlog_max_bytes: int = _count(
        1_000_000_000,
        1,
        10**15,
        "Total size of the backlog's bodies at which the edge answers 503; keep it well below "
        "Redis's maxmemory.",
        "bytes",
    )
    dead_max_events: int = _count(
        100_000,
        1,
        10**12,
        "Number of dead letters at which the edge answers 503, because none is deleted "
        "automatically; a warning is logged at 80 % of it.",
        "events",
    )
    dedup_window_seconds: float = _seconds(
        86400,
        1,
        31536000,
        "How long Redis remembers a finished event. Later duplicates are found in the ledger "
        "instead, after a reservation and a Mongo read.",
    )
    tombstones_max: int = _count(
        1_000_000,
        0,
        10**12,
        "Most finished events that Redis remembers, at about 0.3 KB each. It remembers more only "
        "while a captured request could still be valid: twice the largest tolerance_seconds.",
        "events",
    )
    max_body_bytes: int = _count(
        262_144, 64, 16_777_216, "Largest body that the edge accepts.", "bytes"
    )
    redis_timeout_seconds: float = _seconds(
        0.5,
        0.01,
        10,
        "How long the edge waits for Redis before it answers 503. Longer: fewer 503 on slow disks. "
        "Shorter: the process is free sooner.",
    )
    drain_seconds: float = _seconds(
        10,
        0,
        600,
        "How long a stopping process may finish the events that it holds; it puts the rest "
        "back into the queue.",
    )
    routing_timeout_seconds: float = _seconds(
        10,
        0.05,
        600,
        "Read timeout of a routing call. Shorter: slots with hung calls are free sooner, but calls "
        "that were only slow are repeated.",
    )
    breaker_open_seconds: float = _seconds(
        5,
        0.1,
        600,
        "First pause of the routing breaker; the pause doubles up to 60 s while probes fail.",
    )
    run_dir: Path = _setting(
        ROOT / ".run",
        "path",
        "Directory of this host's sockets, pid files and process name locks.",
        lambda text: Path(text) if Path(text).is_absolute() else ROOT / text,
    )
    host_name: str = _setting(
        socket.gethostname(),
        "name",
        "This host's part of a lock's owner; must be stable across restarts and unique per host.",
        _text,
    )
    log_level: str = _setting(
        "INFO",
        "level",
        "Single events are logged at DEBUG, decisions and faults at INFO and above.",
        _choice("DEBUG", "INFO", "WARNING", "ERROR"),
    )


def variable(setting: Field[Any]) -> str:
    """The environment variable of a setting's field."""
    return setting.name.upper()


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings. An empty variable counts as not set.

    Raises ``SettingsError``, which names for each wrong one the variable, the value and the allowed
    values.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    problems: list[str] = []
    for setting in fields(Settings):
        name = variable(setting)
        text = environ.get(name, "").strip()
        if not text:
            continue
        try:
            values[setting.name] = setting.metadata["check"](text)
        except ValueError as wanted:
            problems.append(f"{name}={_shown(name, text)} is not allowed: it must be {wanted}")
    settings = Settings(**values)
    if not problems:
        problems = _contradictions(settings)
    if problems:
        raise SettingsError(problems)
    return settings


def _shown(name: str, text: str) -> str:
    """The value for a message, without a token or password."""
    if name == "OPS_TOKEN":
        return "(not shown)"
    return repr(without_password(text))


def without_password(url: str) -> str:
    """A URL for a message or a log."""
    url = re.sub(r"//[^/@]*@", "//(not shown)@", url)
    return re.sub(r"([?&](?:user|pass)[^=&]*=)[^&]*", r"\1(not shown)", url)


def _contradictions(s: Settings) -> list[str]:
    rules = [
        (
            s.attempt_seconds > s.routing_timeout_seconds,
            f"ATTEMPT_SECONDS={s.attempt_seconds:g} must be longer than "
            f"ROUTING_TIMEOUT_SECONDS={s.routing_timeout_seconds:g}",
        ),
        (
            s.retry_cap_seconds >= s.retry_base_seconds,
            f"RETRY_CAP_SECONDS={s.retry_cap_seconds:g} must not be below "
            f"RETRY_BASE_SECONDS={s.retry_base_seconds:g}",
        ),
    ]
    return [message for holds, message in rules if not holds]
