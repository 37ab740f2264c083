"""A source: one courier, how it signs, and where its payload holds which field.

The values are frozen, and valid because ``conf.sources.loader`` checks them before it makes them. A
``repr`` never shows a secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from conf.sources.json_pointer import Pointer
from conf.sources.statuses import Status

OTHER: Final = "*"  # in a status map: every status that the map does not name

# Largest difference between the clocks of two hosts of the edge: one host may still accept a
# request that is too old on the other.
CLOCK_DIFFERENCE_SECONDS_MAX = 10


@dataclass(frozen=True, slots=True)
class Secret:
    """A live key. label: its environment variable, which logs and counters may show."""

    label: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signature:
    """How a source signs. The scheme determines which fields are used."""

    scheme: str  # body-hmac, standard-webhooks, stripe or token
    header: str
    prefix: str = ""  # of the signature or token in its header
    encoding: str = "hex"  # hex, base64, or either
    id_header: str = ""  # signed by standard-webhooks, not by body-hmac
    timestamp_header: str = ""
    tolerance_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Pointers:
    """Where a payload holds each field. None: the payload does not have it."""

    event_id: Pointer | None = None
    shipment_id: Pointer | None = None
    status: Pointer | None = None
    occurred_at: Pointer | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One courier.

    statuses: its statuses -> the canonical ones. ignored: its statuses whose events change nothing.
    ``OTHER`` in one of the two means every status that is in neither. quota_per_second: 0 for none.
    """

    name: str
    signature: Signature
    secrets: tuple[Secret, ...]
    pointers: Pointers
    statuses: Mapping[str, Status]
    dedup_fields: tuple[Pointer, ...] = ()
    quota_per_second: float = 0.0
    quota_burst: float = 0.0
    ignored: frozenset[str] = frozenset()

    @property
    def enabled(self) -> bool:
        """Whether its events are accepted. An optional source without a secret is not enabled."""
        return bool(self.secrets)

    def status(self, courier_status: Any) -> Status | None:
        """The canonical status for a courier's status; None if there is none."""
        text = _status_key(courier_status)
        if text is None or self.ignores(courier_status):
            return None
        return self.statuses.get(text) or self.statuses.get(OTHER)

    def ignores(self, courier_status: Any) -> bool:
        """Whether events with this courier's status are configured to change nothing."""
        text = _status_key(courier_status)
        return text is not None and (
            text in self.ignored or (OTHER in self.ignored and text not in self.statuses)
        )


def _status_key(value: Any) -> str | None:
    """The key in the status map. Some couriers send numbers: 11 is the key "11"."""
    if type(value) is int:  # a bool is not
        return str(value)
    return value if isinstance(value, str) else None


class Sources(Mapping[str, Source]):
    """All configured sources by name. Includes those that are not enabled, because their events may
    still be in the queue.

    warnings, notices: lines for the log of a starting process.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        warnings: tuple[str, ...] = (),
        notices: tuple[str, ...] = (),
    ) -> None:
        self._sources = dict(sources)
        self.warnings = warnings
        self.notices = notices

    @property
    def remember_at_least_seconds(self) -> int:
        """How long Redis must remember a finished event: as long as a captured request of any
        source can be valid. The tolerance is symmetric, so that is twice the largest one. 0 if no
        source signs a time."""
        longest = max((s.signature.tolerance_seconds for s in self._sources.values()), default=0)
        return 2 * longest + CLOCK_DIFFERENCE_SECONDS_MAX if longest else 0

    def __getitem__(self, name: str) -> Source:
        return self._sources[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)
