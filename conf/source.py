"""A source: one courier, how it signs, and where its payload says what.

Values only: frozen, and right by the time they exist (``conf.sources`` checks them). Secrets never
show in a repr.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from conf.json_pointer import Pointer
from conf.statuses import Status


@dataclass(frozen=True, slots=True)
class Secret:
    """A live key. label: the environment variable that held it, fit for logs and counters."""

    label: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signature:
    """How a source proves itself. Which of the fields matter depends on the scheme."""

    scheme: str  # body-hmac, standard-webhooks, stripe or token
    header: str
    prefix: str = ""  # what stands before the signature or token in its header
    encoding: str = "hex"  # hex, base64, or either
    id_header: str = ""
    timestamp_header: str = ""
    tolerance_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Pointers:
    """Where a payload holds what. None: it does not hold it."""

    event_id: Pointer | None = None
    shipment_id: Pointer | None = None
    status: Pointer | None = None
    occurred_at: Pointer | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One courier. statuses: its words for ours. quota_per_second: 0 for none."""

    name: str
    signature: Signature
    secrets: tuple[Secret, ...]
    pointers: Pointers
    statuses: Mapping[str, Status]
    dedup_fields: tuple[Pointer, ...] = ()
    quota_per_second: float = 0.0
    quota_burst: float = 0.0

    @property
    def enabled(self) -> bool:
        """Whether its events are taken in: an optional source without a secret is off."""
        return bool(self.secrets)

    def status(self, word: Any) -> Status | None:
        """The canonical status of the courier's word; None for one that is not in its map."""
        return self.statuses.get(word) if isinstance(word, str) else None


class Sources(Mapping[str, Source]):
    """All configured sources by name, the switched-off ones too: their events may still wait.

    warnings and notices are lines for the log of a starting process.
    """

    def __init__(self, sources: Mapping[str, Source], warnings: tuple[str, ...] = (),
                 notices: tuple[str, ...] = ()) -> None:
        self._sources = dict(sources)
        self.warnings = warnings
        self.notices = notices

    def __getitem__(self, name: str) -> Source:
        return self._sources[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)
