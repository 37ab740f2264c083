"""Every setting of every process, with its unit, default and trade-off.

Invariants: only this module reads settings from the environment, and no process starts with a wrong
value. ``load`` reports all wrong values at once, one line each. ``Settings`` is frozen.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

from conf.setting_fields import address, choice, count, existing_file, seconds, setting, token, url

ROOT = Path(__file__).resolve().parent.parent


class SettingsError(Exception):
    """One or more settings are wrong. ``str()`` has one printable line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Settings:
    """The settings of a process. The environment variable of a field is its name in capitals."""

    profile: str = setting(
        "production",
        "name",
        "local and demo allow the published demo secrets, with a warning; "
        "production stops at start when a secret is missing.",
        choice("production", "demo", "local"),
    )
    redis_url: str = setting(
        "redis://127.0.0.1:6379/0",
        "URL",
        "A unix socket (unix:///path) saves about a fifth of a "
        "round trip when Redis is on the same host.",
        url("redis", "rediss", "unix"),
    )
    mongo_url: str = setting(
        "mongodb://127.0.0.1:27017/fincart",
        "URL",
        "Holds shipments, orders and the ledger; the path names the database.",
        url("mongodb", "mongodb+srv"),
    )
    routing_url: str = setting(
        "http://127.0.0.1:8090",
        "URL",
        "Base of the Routing Service; /v1/routes is added.",
        url("http", "https"),
    )
    gateway_bind: str = setting("0.0.0.0:8080", "host:port", "Where couriers post.", address)
    ops_bind: str = setting(
        "127.0.0.1:8081",
        "host:port",
        "Metrics and state for operators. The default is reachable from this host only.",
        address,
    )
    ops_token: str = setting(
        "",
        "text",
        "Bearer token of the ops port. Empty: the port answers only its health check.",
        token,
    )
    sources_file: Path = setting(
        ROOT / "conf" / "sources.toml",
        "path",
        "The sources: signature schemes, secrets, JSON Pointers.",
        existing_file(ROOT),
    )
    web_concurrency: int = count(
        16,
        1,
        64,
        "Processes of the edge. Each waits for one Redis round trip at a time, and all that wait "
        "share one flush to disk. More share more, at about 11 MB of memory each. With gthread, "
        "whose threads wait instead, 4 processes reach the same rate.",
    )
    gateway_server: str = setting(
        "meinheld",
        "name",
        "HTTP server of the edge. meinheld serves three times the events and is used where it is "
        "installed; gthread enforces HTTP strictly (docs/edge-http.md).",
        choice("meinheld", "gthread"),
    )
    lookup_processes: int = count(
        1, 1, 64, "Processes of the lookup lane. More use more cores for Mongo lookups."
    )
    lookup_threads: int = count(
        16,
        1,
        256,
        "Events in work at once in one lookup process. More hide Mongo's latency until the process "
        "uses a whole core.",
    )
    routing_processes: int = count(
        2,
        1,
        64,
        "Processes of the routing lane. With more, a crash interrupts a smaller part of the calls.",
    )
    routing_threads: int = count(
        64,
        1,
        512,
        "Calls in flight at once in one routing process. More drain the lane faster and put more "
        "load on the Routing Service.",
    )
    worker_nice: int = count(
        10,
        0,
        19,
        "Niceness of the workers: the edge goes first where both want the same cores, so a burst "
        "is acknowledged before it is processed. 0: no difference; for workers on other hosts.",
        "niceness",
    )
    lease_seconds: float = seconds(
        15,
        1,
        3600,
        "How long a lock stays valid after the last heartbeat of its holder, which sends one every "
        "third of this time. Shorter: events of a lost host are taken over sooner. Longer: a "
        "stalled process keeps its events.",
    )
    attempt_seconds: float = seconds(
        30,
        1,
        3600,
        "Hard deadline of one attempt; a thread that exceeds it loses its event, which is retried. "
        "Must be longer than ROUTING_TIMEOUT_SECONDS.",
    )
    max_attempts: int = count(
        12,
        1,
        1000,
        "Failed routing calls after which an event becomes a dead letter. More: it survives longer "
        "faults. Fewer: an event that never succeeds is visible sooner.",
    )
    retry_base_seconds: float = seconds(
        2,
        0.001,
        3600,
        "First window of the exponential backoff; the window doubles with each attempt.",
    )
    retry_cap_seconds: float = seconds(
        900,
        0.001,
        86400,
        "Largest window of the backoff. Smaller: retries succeed sooner after a long fault, at "
        "more calls during it.",
    )
    retry_floor_seconds: float = seconds(
        1, 0, 3600, "Shortest wait before a retry; a longer Retry-After takes precedence."
    )
    max_age_seconds: float = seconds(
        86400,
        1,
        31536000,
        "Age, since it was accepted or replayed, at which an event that fails becomes a dead "
        "letter instead of being retried.",
    )
    unknown_shipment_seconds: float = seconds(
        21600, 0, 31536000, "How long an event waits for a shipment that does not exist yet."
    )
    unknown_retry_seconds: float = seconds(
        60,
        0.01,
        3600,
        "Longest wait between two lookups of an unknown shipment. Shorter: the event is processed "
        "sooner after its shipment appears, at more Mongo reads.",
    )
    max_crashes: int = count(
        5,
        3,
        100,
        "Process crashes after which an event becomes a dead letter with reason poison. Before the "
        "last of them a process holds the event exclusively.",
    )
    backlog_max_events: int = count(
        500_000,
        1,
        10**12,
        "Size of the backlog (events waiting, locked or retrying) at which the edge answers 503.",
        "events",
    )
    backlog_max_bytes: int = count(
        1_000_000_000,
        1,
        10**15,
        "Total size of the backlog's bodies at which the edge answers 503; keep it well below "
        "Redis's maxmemory.",
        "bytes",
    )
    dead_max_events: int = count(
        100_000,
        1,
        10**12,
        "Number of dead letters at which the edge answers 503, because none is deleted "
        "automatically; a warning is logged at 80 % of it.",
        "events",
    )
    dedup_window_seconds: float = seconds(
        86400,
        1,
        31536000,
        "How long Redis remembers a finished event. Later duplicates are found in the ledger "
        "instead, after a reservation and a Mongo read.",
    )
    tombstones_max: int = count(
        1_000_000,
        0,
        10**12,
        "Most finished events that Redis remembers, at about 0.3 KB each. It remembers more only "
        "while a captured request could still be valid: twice the largest tolerance_seconds.",
        "events",
    )
    max_body_bytes: int = count(
        262_144, 64, 16_777_216, "Largest body that the edge accepts.", "bytes"
    )
    redis_timeout_seconds: float = seconds(
        0.5,
        0.01,
        10,
        "How long the edge waits for Redis before it answers 503. Longer: fewer 503 on slow disks. "
        "Shorter: the process is free sooner.",
    )
    drain_seconds: float = seconds(
        10,
        0,
        600,
        "How long a stopping process may finish the events that it holds; it puts the rest "
        "back into the queue.",
    )
    routing_timeout_seconds: float = seconds(
        10,
        0.05,
        600,
        "Read timeout of a routing call. Shorter: slots with hung calls are free sooner, but calls "
        "that were only slow are repeated.",
    )
    breaker_open_seconds: float = seconds(
        5,
        0.1,
        600,
        "First pause of the routing breaker; the pause doubles up to 60 s while probes fail.",
    )
    run_dir: Path = setting(
        ROOT / ".run",
        "path",
        "Directory of this host's sockets, pid files and process name locks.",
        lambda text: Path(text) if Path(text).is_absolute() else ROOT / text,
    )
    host_name: str = setting(
        socket.gethostname(),
        "name",
        "This host's part of a lock's owner; must be stable across restarts and unique per host.",
        str,
    )
    log_level: str = setting(
        "INFO",
        "level",
        "Single events are logged at DEBUG, decisions and faults at INFO and above.",
        choice("DEBUG", "INFO", "WARNING", "ERROR"),
    )


def variable(field: Field[Any]) -> str:
    """The environment variable of a field of ``Settings``."""
    return field.name.upper()


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings. An empty variable counts as not set.

    Raises ``SettingsError``, which names for each wrong one the variable, the value and the allowed
    values.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in fields(Settings):
        name = variable(field)
        text = environ.get(name, "").strip()
        if not text:
            continue
        try:
            values[field.name] = field.metadata["check"](text)
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
