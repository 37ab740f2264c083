"""Every setting of every process: name, unit, default and trade-off, in one validated place.

Invariant: this module is the only reader of the environment, and nothing starts with a wrong
value. ``load`` checks all of them and reports every wrong one, a line each, so that an operator
mends them in one go. Values are frozen; whoever needs another one makes a new ``Settings``.
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
    """One or more settings are wrong; ``str()`` holds one line for each, ready to print."""

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
            _ = parts.port  # raises on a port that is none
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
        "Metrics and state for operators; on loopback unless you say otherwise.",
        _address,
    )
    ops_token: str = _setting(
        "",
        "text",
        "Bearer token of the ops port. Empty: that port answers only its health check.",
        _token,
    )
    sources_file: Path = _setting(
        ROOT / "conf" / "sources.toml", "path", "The couriers: schemes, secrets, pointers.", _file
    )
    web_concurrency: int = _count(
        16,
        1,
        64,
        "Processes of the edge. Each waits for one Redis round trip at a time, and all "
        "that wait share one flush to disk; each has about 11 MB of its own. With gthread, whose "
        "threads wait, 4 take as much.",
    )
    gateway_server: str = _setting(
        "meinheld",
        "name",
        "What serves the edge. meinheld takes three times the events, where "
        "it can be built; gthread is strict to the letter of HTTP (gateway/README.md).",
        _choice("meinheld", "gthread"),
    )
    lookup_processes: int = _count(
        1, 1, 64, "Processes of the lookup lane. More use more cores for Mongo lookups."
    )
    lookup_threads: int = _count(
        16,
        1,
        256,
        "Events in work at once in one lookup process. More hide Mongo's latency "
        "until the process's core is full.",
    )
    routing_processes: int = _count(
        2, 1, 64, "Processes of the routing lane. A crash costs the calls of one process."
    )
    routing_threads: int = _count(
        64,
        1,
        512,
        "Calls in flight at once in one routing process. More drain faster and press "
        "harder on the Routing Service.",
    )
    worker_nice: int = _count(
        10,
        0,
        19,
        "How far the workers stand back for the edge where both want the same cores: a "
        "burst is acknowledged first and processed then. 0: they do not; sensible on hosts of "
        "their own.",
        "niceness",
    )
    lease_seconds: float = _seconds(
        15,
        1,
        3600,
        "How long a lock outlives its holder's last heartbeat (sent every third of "
        "it). Shorter: a lost host is noticed sooner. Longer: a stalled process keeps its work.",
    )
    attempt_seconds: float = _seconds(
        30,
        1,
        3600,
        "Hard deadline of one attempt; a thread beyond it loses its event to a "
        "retry. Must be longer than ROUTING_TIMEOUT_SECONDS.",
    )
    max_attempts: int = _count(
        12,
        1,
        1000,
        "Failed routing calls before an event is dead. More outlast longer faults "
        "and keep hopeless events longer.",
    )
    retry_base_seconds: float = _seconds(
        2, 0.001, 3600, "First window of the exponential backoff; it doubles each attempt."
    )
    retry_cap_seconds: float = _seconds(
        900,
        0.001,
        86400,
        "Largest window of the backoff. Lower: quicker after long faults, more calls meanwhile.",
    )
    retry_floor_seconds: float = _seconds(
        1, 0, 3600, "Shortest wait before any retry; a Retry-After beyond it wins."
    )
    max_age_seconds: float = _seconds(
        86400,
        1,
        31536000,
        "An event that fails when older than this (since it came to life) is dead.",
    )
    unknown_shipment_seconds: float = _seconds(
        21600, 0, 31536000, "How long an event waits for a shipment that is not known yet."
    )
    unknown_retry_seconds: float = _seconds(
        60,
        0.01,
        3600,
        "Largest wait between two looks for an unknown shipment. Lower: the event "
        "follows its shipment sooner, at more Mongo reads.",
    )
    max_crashes: int = _count(
        5,
        3,
        100,
        "Crashes of its process that an event may be part of before it is dead as "
        "poison. It is alone in its process for the last of them.",
    )
    backlog_max_events: int = _count(
        500_000,
        1,
        10**12,
        "Events waiting, locked or retrying before the edge answers 503.",
        "events",
    )
    backlog_max_bytes: int = _count(
        1_000_000_000,
        1,
        10**15,
        "Their bodies' bytes before the edge answers 503; keep it well below Redis's maxmemory.",
        "bytes",
    )
    dead_max_events: int = _count(
        100_000,
        1,
        10**12,
        "Dead letters before the edge answers 503 (nothing is thrown away by "
        "itself); a warning comes at 80 % of it.",
        "events",
    )
    dedup_window_seconds: float = _seconds(
        86400,
        1,
        31536000,
        "How long Redis remembers a finished event; later duplicates are absorbed by the ledger.",
    )
    tombstones_max: int = _count(
        1_000_000,
        0,
        10**12,
        "Finished events that Redis remembers at most, about 0.3 KB each. "
        "More while a captured request could still be valid: twice the largest tolerance_seconds.",
        "events",
    )
    max_body_bytes: int = _count(262_144, 64, 16_777_216, "Largest body accepted.", "bytes")
    redis_timeout_seconds: float = _seconds(
        0.5,
        0.01,
        10,
        "How long the edge waits for Redis before it answers 503. Longer rides "
        "out slow disks; shorter frees the process sooner.",
    )
    drain_seconds: float = _seconds(
        10, 0, 600, "How long a stopping process finishes what it holds; the rest is handed back."
    )
    routing_timeout_seconds: float = _seconds(
        10,
        0.05,
        600,
        "Read timeout of a routing call. Shorter frees slots from hung calls, but "
        "repeats calls that were only slow.",
    )
    breaker_open_seconds: float = _seconds(
        5, 0.1, 600, "First pause of the routing breaker; it doubles to 60 s while probes fail."
    )
    run_dir: Path = _setting(
        ROOT / ".run",
        "path",
        "Sockets, pid files and process name locks of this host.",
        lambda text: Path(text) if Path(text).is_absolute() else ROOT / text,
    )
    host_name: str = _setting(
        socket.gethostname(),
        "name",
        "Names this host in the owner of a lock; must be stable "
        "across restarts and different between hosts.",
        _text,
    )
    log_level: str = _setting(
        "INFO",
        "level",
        "Events are logged at DEBUG, decisions and faults at INFO and above.",
        _choice("DEBUG", "INFO", "WARNING", "ERROR"),
    )


def variable(setting: Field[Any]) -> str:
    """The environment variable of a setting's field."""
    return setting.name.upper()


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings. An empty variable counts as not set.

    Raises ``SettingsError`` that names, for each wrong one, the variable, the value and what is
    allowed.
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
    """The value as a message may hold it: no token, no password."""
    if name == "OPS_TOKEN":
        return "(not shown)"
    return repr(without_password(text))


def without_password(url: str) -> str:
    """A URL as a message or a log may hold it."""
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
